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
