export interface Authorisation {
  readonly orderId: string;
  readonly amountCents: number;
}

/** The provider's "no": trying again does not change it. */
export class PaymentDeclinedError extends Error {
  constructor(readonly orderId: string) {
    super(`The payment of order ${orderId} was declined.`);
    this.name = 'PaymentDeclinedError';
  }
}

/**
 * A payment provider. Every call is idempotent by its key: repeated with the same key it answers
 * what it answered before. An undo wins over what it undoes, whichever comes first: once a key was
 * voided or refunded, the provider refuses to authorise or capture under it.
 */
export abstract class PaymentProvider {
  /** @throws PaymentDeclinedError */
  abstract authorise(key: string, authorisation: Authorisation): Promise<{ paymentId: string }>;
  abstract capture(key: string, paymentId: string): Promise<{ capturedCents: number }>;
  /** `key` is the one of the authorisation. */
  abstract void(key: string): Promise<void>;
  /** `key` is the one of the capture. */
  abstract refund(key: string): Promise<void>;
}
