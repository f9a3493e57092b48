import { Controller } from '@nestjs/common';
import { Ctx, Payload } from '@nestjs/microservices';
import { InjectRepository } from '@nestjs/typeorm';
import {
  AuthorisePayment,
  CapturePayment,
  RefundPayment,
  VoidPayment,
  type AuthorisePaymentPayload,
  type CapturePaymentPayload,
  type PaymentAuthorised,
  type PaymentCaptured,
  type PaymentOfOrder,
} from '../contracts/index.js';
import { IdempotentHandler, MessageContext, SagaRefusal } from '@sagaz/nestjs';
import { Repository } from 'typeorm';
import { PaymentDeclinedError, PaymentProvider } from '../provider/payment-provider.js';
import { Payment } from './payment.entity.js';

/**
 * Carries commands to the provider. The provider's books are not in our transaction: what makes its
 * effects happen once is the command's idempotency key, the same on every delivery.
 */
@Controller()
export class PaymentsController {
  constructor(
    @InjectRepository(Payment) private readonly payments: Repository<Payment>,
    private readonly provider: PaymentProvider,
  ) {}

  @IdempotentHandler(AuthorisePayment)
  async authorise(
    @Payload() { orderId, amountCents }: AuthorisePaymentPayload,
    @Ctx() context: MessageContext,
  ): Promise<PaymentAuthorised> {
    const { paymentId } = await refusingDeclined(
      this.provider.authorise(context.idempotencyKey, { orderId, amountCents }),
    );
    await this.payments.save({ orderId, paymentId, amountCents, status: 'authorised' });
    return { paymentId };
  }

  @IdempotentHandler(VoidPayment)
  async void(
    @Payload() { orderId }: PaymentOfOrder,
    @Ctx() context: MessageContext,
  ): Promise<void> {
    await this.provider.void(context.idempotencyKey);
    await this.payments.update({ orderId, status: 'authorised' }, { status: 'voided' });
  }

  @IdempotentHandler(CapturePayment)
  async capture(
    @Payload() { orderId, paymentId }: CapturePaymentPayload,
    @Ctx() context: MessageContext,
  ): Promise<PaymentCaptured> {
    const { capturedCents } = await refusingDeclined(
      this.provider.capture(context.idempotencyKey, paymentId),
    );
    await this.payments.update({ orderId }, { status: 'captured' });
    return { paymentId, capturedCents };
  }

  @IdempotentHandler(RefundPayment)
  async refund(
    @Payload() { orderId }: PaymentOfOrder,
    @Ctx() context: MessageContext,
  ): Promise<void> {
    await this.provider.refund(context.idempotencyKey);
    await this.payments.update({ orderId, status: 'captured' }, { status: 'refunded' });
  }
}

/** A decline is an answer, not a failure: it goes back to the saga and is not tried again. */
async function refusingDeclined<T>(call: Promise<T>): Promise<T> {
  try {
    return await call;
  } catch (error) {
    if (error instanceof PaymentDeclinedError) throw new SagaRefusal('declined');
    throw error;
  }
}
