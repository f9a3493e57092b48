import { Logger } from '@nestjs/common';
import { InjectRepository } from '@nestjs/typeorm';
import {
  AuthorisePayment,
  CapturePayment,
  OrderConfirmed,
  OrderRejected,
  RefundPayment,
  ReleaseStock,
  ReserveStock,
  VoidPayment,
  type PaymentAuthorised,
  type PaymentCaptured,
} from '../contracts/index.js';
import {
  command,
  Compensate,
  Outbox,
  Saga,
  SagaInput,
  SagaOf,
  SagaStep,
  StepResult,
} from '@sagaz/nestjs';
import { Repository } from 'typeorm';
import { Order } from './order.entity.js';
import { totalCents, type PricedOrder } from './place-order.js';

export interface ConfirmedOrder {
  readonly orderId: string;
  readonly paymentId: string;
}

/**
 *            ┌─ reserve ───┐
 * accept ────┤             ├── capture ── confirm
 *            └─ authorise ─┘
 */
@Saga({ name: 'place-order', version: 1, output: 'confirm' })
export class PlaceOrderSaga extends SagaOf<PricedOrder, ConfirmedOrder> {
  /** Each line names the saga, its step and, in one, its trace: see LoggerModule in app.module.ts. */
  private readonly logger = new Logger(PlaceOrderSaga.name);

  constructor(
    @InjectRepository(Order) private readonly orders: Repository<Order>,
    private readonly outbox: Outbox,
  ) {
    super();
  }

  @SagaStep({ transactional: true })
  async accept(@SagaInput() order: PricedOrder): Promise<void> {
    await this.orders.update({ id: order.orderId }, { status: 'processing' });
  }

  @Compensate('accept', { transactional: true })
  async reject(@SagaInput() order: PricedOrder): Promise<void> {
    await this.orders.update({ id: order.orderId }, { status: 'rejected' });
    this.logger.log('The order is rejected.');
    await this.outbox.publish(OrderRejected, { orderId: order.orderId }, { key: order.orderId });
  }

  @SagaStep({ dependsOn: ['accept'] })
  reserve(@SagaInput() order: PricedOrder) {
    const lines = order.items.map(({ sku, quantity }) => ({ sku, quantity }));
    return command(ReserveStock, { orderId: order.orderId, lines });
  }

  @Compensate('reserve')
  release(@SagaInput() order: PricedOrder) {
    return command(ReleaseStock, { orderId: order.orderId });
  }

  @SagaStep({ dependsOn: ['accept'] })
  authorise(@SagaInput() order: PricedOrder) {
    return command(AuthorisePayment, {
      orderId: order.orderId,
      customerId: order.customerId,
      amountCents: totalCents(order),
    });
  }

  @Compensate('authorise')
  voidPayment(@SagaInput() order: PricedOrder) {
    return command(VoidPayment, { orderId: order.orderId });
  }

  @SagaStep({ dependsOn: ['reserve', 'authorise'] })
  capture(@SagaInput() order: PricedOrder, @StepResult('authorise') payment: PaymentAuthorised) {
    return command(CapturePayment, { orderId: order.orderId, paymentId: payment.paymentId });
  }

  @Compensate('capture')
  refund(@SagaInput() order: PricedOrder) {
    return command(RefundPayment, { orderId: order.orderId });
  }

  /** The order's new state, the event and the saga's end are committed together. */
  @SagaStep({ dependsOn: ['capture'], transactional: true })
  async confirm(
    @SagaInput() order: PricedOrder,
    @StepResult('capture') payment: PaymentCaptured,
  ): Promise<ConfirmedOrder> {
    const { orderId, customerId } = order;
    const { paymentId, capturedCents } = payment;
    await this.orders.update({ id: orderId }, { status: 'confirmed', paymentId });
    await this.outbox.publish(
      OrderConfirmed,
      { orderId, customerId, totalCents: capturedCents },
      { key: orderId },
    );
    this.logger.log('The order is confirmed.');
    return { orderId, paymentId };
  }
}
