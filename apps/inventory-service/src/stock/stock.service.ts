import { Injectable } from '@nestjs/common';
import { InjectRepository } from '@nestjs/typeorm';
import { SagaRefusal } from '@sagaz/nestjs';
import { In, Repository } from 'typeorm';
import { Product } from './product.entity.js';
import { Reservation, type ReservedLine } from './reservation.entity.js';

/** The rules of stock. Its repositories join the transaction of whoever calls. */
@Injectable()
export class StockService {
  constructor(
    @InjectRepository(Product) private readonly products: Repository<Product>,
    @InjectRepository(Reservation) private readonly reservations: Repository<Reservation>,
  ) {}

  /** Reserves all lines or none, and answers how many units that is. */
  async reserve(orderId: string, lines: readonly ReservedLine[]): Promise<number> {
    const wanted = unitsBySku(lines);
    const products = await this.lock([...wanted.keys()]);
    for (const [sku, quantity] of wanted) {
      const product = products.get(sku);
      if (product === undefined) throw new SagaRefusal('unknown_product', { sku });
      const available = product.stock - product.reserved;
      if (available < quantity) throw new SagaRefusal('out_of_stock', { sku, quantity, available });
    }
    let units = 0;
    for (const [sku, quantity] of wanted) {
      await this.products.increment({ sku }, 'reserved', quantity);
      units += quantity;
    }
    await this.reservations.insert({ orderId, lines: [...lines], status: 'held' });
    return units;
  }

  /** Gives back what an order holds. There may be nothing. */
  async release(orderId: string): Promise<void> {
    const reservation = await this.reservations.findOneBy({ orderId, status: 'held' });
    if (reservation === null) return;
    const held = unitsBySku(reservation.lines);
    await this.lock([...held.keys()]);
    for (const [sku, quantity] of held) {
      await this.products.decrement({ sku }, 'reserved', quantity);
    }
    await this.reservations.update({ orderId }, { status: 'released' });
  }

  /** The goods leave the house. */
  async sell(orderId: string): Promise<void> {
    const reservation = await this.reservations.findOneByOrFail({ orderId });
    const sold = unitsBySku(reservation.lines);
    await this.lock([...sold.keys()]);
    for (const [sku, quantity] of sold) {
      await this.products
        .createQueryBuilder()
        .update()
        .set({ stock: () => 'stock - :quantity', reserved: () => 'reserved - :quantity' })
        .where({ sku })
        .setParameters({ quantity })
        .execute();
    }
    await this.reservations.update({ orderId }, { status: 'sold' });
  }

  /** In one order for everybody, so that two orders with the same products cannot deadlock. */
  private async lock(skus: string[]): Promise<Map<string, Product>> {
    const products = await this.products.find({
      where: { sku: In(skus) },
      order: { sku: 'ASC' },
      lock: { mode: 'pessimistic_write' },
    });
    return new Map(products.map((product) => [product.sku, product]));
  }
}

function unitsBySku(lines: readonly ReservedLine[]): Map<string, number> {
  const units = new Map<string, number>();
  for (const { sku, quantity } of lines) units.set(sku, (units.get(sku) ?? 0) + quantity);
  return units;
}
