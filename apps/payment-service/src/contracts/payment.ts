// The messages that the payment service handles. The service that sends them has the same file.
import { defineCommand } from '@sagaz/core';
import { z } from 'zod';

/** Replies of any other service are ignored. */
const handledBy = 'payment-service';

const authorisePayment = z.object({
  orderId: z.string(),
  customerId: z.string(),
  amountCents: z.int().positive(),
});
export type AuthorisePaymentPayload = z.infer<typeof authorisePayment>;
export interface PaymentAuthorised {
  readonly paymentId: string;
}
/** Sets the amount aside. Refused with `declined`. */
export const AuthorisePayment = defineCommand<AuthorisePaymentPayload, PaymentAuthorised>()(
  'payment.authorise',
  { payload: authorisePayment, handledBy },
);

export interface PaymentOfOrder {
  readonly orderId: string;
}
/** Frees what {@link AuthorisePayment} set aside, or stops it from ever being set aside. */
export const VoidPayment = defineCommand<PaymentOfOrder>()('payment.void', { handledBy });

export interface CapturePaymentPayload {
  readonly orderId: string;
  readonly paymentId: string;
}
export interface PaymentCaptured {
  readonly paymentId: string;
  readonly capturedCents: number;
}
/** Takes the money that was set aside. */
export const CapturePayment = defineCommand<CapturePaymentPayload, PaymentCaptured>()(
  'payment.capture',
  { handledBy },
);
/** Gives back what {@link CapturePayment} took. */
export const RefundPayment = defineCommand<PaymentOfOrder>()('payment.refund', { handledBy });
