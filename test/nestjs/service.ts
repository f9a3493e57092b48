import { Propagation, Transactional } from '@nestjs-cls/transactional';
import { Injectable } from '@nestjs/common';
import { InjectRepository } from '@nestjs/typeorm';
import { Outbox } from '@sagaz/nestjs';
import { DataSource, Repository } from 'typeorm';
import { Order, OrderPlaced } from './orders.js';

/** The part that a test breaks on purpose. */
export class Boom extends Error {}

/** A service as a user writes it, with a door for whatever a test wants to do inside. */
@Injectable()
export class OrderService {
  constructor(
    @InjectRepository(Order) readonly orders: Repository<Order>,
    readonly outbox: Outbox,
    readonly dataSource: DataSource,
  ) {}

  @Transactional()
  async inTransaction<T>(work: () => Promise<T>): Promise<T> {
    return work();
  }

  @Transactional(Propagation.RequiresNew)
  async inNewTransaction<T>(work: () => Promise<T>): Promise<T> {
    return work();
  }

  @Transactional(Propagation.Nested)
  async inSavepoint<T>(work: () => Promise<T>): Promise<T> {
    return work();
  }

  /** Three calls away from whoever opened the transaction. */
  async insert(id: string): Promise<void> {
    await this.orders.insert({ id });
  }

  async publish(id: string): Promise<void> {
    await this.outbox.publish(OrderPlaced, { id }, { key: id });
  }
}
