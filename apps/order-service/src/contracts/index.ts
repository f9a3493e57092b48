export { ReleaseStock, ReserveStock } from './inventory.js';
export {
  AuthorisePayment,
  CapturePayment,
  RefundPayment,
  VoidPayment,
  type PaymentAuthorised,
  type PaymentCaptured,
} from './payment.js';
export { OrderConfirmed, OrderRejected } from './order.js';
