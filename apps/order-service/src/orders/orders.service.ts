import { isDeepStrictEqual } from 'node:util';
import { Transactional } from '@nestjs-cls/transactional';
import {
  BadRequestException,
  ConflictException,
  Injectable,
  NotFoundException,
} from '@nestjs/common';
import { InjectRepository } from '@nestjs/typeorm';
import { Sagas } from '@sagaz/nestjs';
import { In, Repository } from 'typeorm';
import { Order } from './order.entity.js';
import { PlaceOrderSaga } from './place-order.saga.js';
import { MOST_CENTS, totalCents, type PlaceOrder, type PricedOrder } from './place-order.js';
import { Price } from './price.entity.js';

@Injectable()
export class OrdersService {
  constructor(
    @InjectRepository(Order) private readonly orders: Repository<Order>,
    @InjectRepository(Price) private readonly prices: Repository<Price>,
    private readonly sagas: Sagas,
  ) {}

  /**
   * Writes the order and starts its saga in one transaction: there is never one without the other.
   * Placing the same order again answers with the order there is.
   */
  @Transactional()
  async place(wanted: PlaceOrder): Promise<Order> {
    const placed = await this.orders.findOneBy({ id: wanted.orderId });
    if (placed !== null) return sameOrder(placed, wanted);
    const order = await this.priced(wanted);
    const inserted = await this.orders
      .createQueryBuilder()
      .insert()
      .values({
        id: order.orderId,
        customerId: order.customerId,
        items: [...order.items],
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
    // Somebody else placed it a moment ago.
    return sameOrder(await this.get(order.orderId), wanted);
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

  /** With our prices of this moment: a client cannot choose what it pays. */
  private async priced({ orderId, customerId, items }: PlaceOrder): Promise<PricedOrder> {
    const found = await this.prices.findBy({ sku: In(items.map(({ sku }) => sku)) });
    const prices = new Map(found.map(({ sku, unitPriceCents }) => [sku, unitPriceCents]));
    const unknown = items.filter(({ sku }) => !prices.has(sku)).map(({ sku }) => sku);
    if (unknown.length > 0) {
      throw new BadRequestException(`There is no price for ${unknown.join(', ')}.`);
    }
    const order = {
      orderId,
      customerId,
      items: items.map((item) => ({ ...item, unitPriceCents: prices.get(item.sku) ?? 0 })),
    };
    const total = totalCents(order);
    if (total < 1 || total > MOST_CENTS) {
      throw new BadRequestException(
        `The order costs ${String(total)} cents; it must be between 1 and ${String(MOST_CENTS)}.`,
      );
    }
    return order;
  }
}

/** The order there is, where the one that is wanted is the same; prices may have changed since. */
function sameOrder(placed: Order, { orderId, customerId, items }: PlaceOrder): Order {
  const before = placed.items.map(({ sku, quantity }) => ({ sku, quantity }));
  if (placed.customerId === customerId && isDeepStrictEqual(before, items)) return placed;
  throw new ConflictException(
    `Order ${orderId} was placed before with other content. Choose another orderId.`,
  );
}
