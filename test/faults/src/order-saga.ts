import {
  command,
  Compensate,
  IdempotencyKey,
  NonRetryableError,
  Saga,
  SagaInput,
  SagaOf,
  SagaStep,
  TransactionManager,
} from '@sagaz/core';
import type pg from 'pg';
import type { AppTransaction } from './app-transactions.js';
import { eventOf, ReleaseStock, ReserveStock } from './messages.js';

export interface Order {
  readonly orderId: string;
}

/** Business row and event of a step, in its transaction. */
async function localEffect(
  { query, publish }: AppTransaction,
  orderId: string,
  step: string,
): Promise<void> {
  const event = eventOf(`order.${step}`, orderId, { orderId });
  await query('INSERT INTO app.local_effect VALUES ($1, $2, $3)', [orderId, step, process.pid]);
  await query('INSERT INTO app.published VALUES ($1, $2, $3)', [event.id, event.type, orderId]);
  publish(event);
}

/** accept (transactional) → charge (outside) → reserve (another service) → confirm (transactional) */
@Saga({ name: 'order', output: 'confirm' })
export class OrderSaga extends SagaOf<Order, string> {
  constructor(private readonly outside: pg.Pool) {
    super();
  }

  @SagaStep({ transactional: true })
  async accept(@SagaInput() { orderId }: Order, @TransactionManager() app: AppTransaction) {
    await localEffect(app, orderId, 'accept');
  }

  @Compensate('accept', { transactional: true })
  async reject(@SagaInput() { orderId }: Order, @TransactionManager() app: AppTransaction) {
    await localEffect(app, orderId, 'reject');
  }

  @SagaStep({ dependsOn: ['accept'] })
  async charge(@SagaInput() { orderId }: Order, @IdempotencyKey() key: string) {
    await this.#atTheProvider(orderId, 'charge', key);
  }

  @Compensate('charge', { retry: { attempts: 20, backoff: '50ms', maxDelay: '100ms' } })
  async refund(@SagaInput() { orderId }: Order, @IdempotencyKey() key: string) {
    await this.#atTheProvider(orderId, 'refund', key);
  }

  @SagaStep({ dependsOn: ['charge'] })
  reserve(@SagaInput() { orderId }: Order) {
    return command(ReserveStock, { orderId });
  }

  @Compensate('reserve')
  release(@SagaInput() { orderId }: Order) {
    return command(ReleaseStock, { orderId });
  }

  @SagaStep({ dependsOn: ['reserve'], transactional: true })
  async confirm(
    @SagaInput() { orderId }: Order,
    @TransactionManager() app: AppTransaction,
  ): Promise<string> {
    await localEffect(app, orderId, 'confirm');
    if (orderId.includes('bad')) throw new NonRetryableError('Nobody wants this order.');
    return orderId;
  }

  /** Commits at once, as a call of another system would. */
  async #atTheProvider(orderId: string, step: string, key: string): Promise<void> {
    await this.outside.query('INSERT INTO app.external_effect VALUES ($1, $2, $3, $4)', [
      orderId,
      step,
      key,
      process.pid,
    ]);
  }
}
