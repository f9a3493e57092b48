export {
  ReserveStock,
  ReleaseStock,
  orderLine,
  type OrderLine,
  type ReserveStockPayload,
  type ReleaseStockPayload,
  type StockReserved,
} from './inventory.js';
export {
  AuthorisePayment,
  CapturePayment,
  RefundPayment,
  VoidPayment,
  type AuthorisePaymentPayload,
  type CapturePaymentPayload,
  type PaymentAuthorised,
  type PaymentCaptured,
  type PaymentOfOrder,
} from './payment.js';
export {
  OrderConfirmed,
  OrderRejected,
  type OrderConfirmedPayload,
  type OrderRejectedPayload,
} from './order.js';
