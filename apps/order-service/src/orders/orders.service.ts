import { isDeepStrictEqual } from 'node:util';
import { Transactional } from '@nestjs-cls/transactional';
import { ConflictException, Injectable, NotFoundException } from '@nestjs/common';
import { InjectRepository } from '@nestjs/typeorm';
import { Sagas } from '@sagaz/nestjs';
import { Repository } from 'typeorm';
import { Order } from './order.entity.js';
import { PlaceOrderSaga } from './place-order.saga.js';
import { totalCents, type PlaceOrder } from './place-order.js';

@Injectable()
export class OrdersService {
  constructor(
    @InjectRepository(Order) private readonly orders: Repository<Order>,
    private readonly sagas: Sagas,
  ) {}

  /**
   * Writes the order and starts its saga in one transaction: there is never one without the other.
   * Placing the same order again answers with the order there is.
   */
  @Transactional()
  async place(order: PlaceOrder): Promise<Order> {
    const inserted = await this.orders
      .createQueryBuilder()
      .insert()
      .values({
        id: order.orderId,
        customerId: order.customerId,
        items: order.items,
        totalCents: totalCents(order),
        status: 'pending',
      })
      .orIgnore()
      .returning('id')
      .execute();
    if (Array.isArray(inserted.raw) && inserted.raw.length === 1) {
      const handle = await this.sagas.start(PlaceOrderSaga, order, {
        idempotencyKey: order.orderId,
      });
      await this.orders.update({ id: order.orderId }, { sagaId: handle.id });
      return this.get(order.orderId);
    }
    const existing = await this.get(order.orderId);
    if (
      existing.customerId !== order.customerId ||
      !isDeepStrictEqual(existing.items, order.items)
    ) {
      throw new ConflictException(
        `Order ${order.orderId} was placed before with other content. Choose another orderId.`,
      );
    }
    return existing;
  }

  /** The participant's "no", as its saga has it; null: it was not rejected. */
  async whyRejected({ status, sagaId }: Order): Promise<string | null> {
    if (status !== 'rejected' || sagaId === null) return null;
    const end = await (await this.sagas.handle(sagaId)).outcome({ timeout: '5s' });
    if (end.status !== 'compensated') return end.status;
    const { cause } = end.failure;
    return cause.kind === 'step' ? (cause.error.reason ?? `${cause.step}_failed`) : cause.kind;
  }

  async get(orderId: string): Promise<Order> {
    const order = await this.orders.findOneBy({ id: orderId });
    if (order === null) throw new NotFoundException(`There is no order ${orderId}.`);
    return order;
  }
}
