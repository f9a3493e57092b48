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
import type { AppTransaction } from '../app-transactions.js';
import { eventOf, ReleaseStock, ReserveStock } from '../messages.js';
import type { Order } from '../order-saga.js';

/** How often a call of the provider fails, half of the time although it has had its effect. */
const CALLS_THAT_FAIL = 0.1;

async function localEffect(app: AppTransaction, orderId: string, step: string): Promise<void> {
  const n = step === 'accept' ? 1 : 2;
  const event = eventOf(`order.${step}`, orderId, { orderId, n });
  await app.query('INSERT INTO app.local_effect VALUES ($1, $2)', [orderId, step]);
  await app.query('INSERT INTO app.published VALUES ($1, $2, $3)', [event.id, orderId, n]);
  app.publish(event);
}

/** accept (transactional) → charge (outside) → reserve (another service) → confirm (transactional) */
@Saga({ name: 'order', output: 'confirm', deadline: '6h' })
export class SoakSaga extends SagaOf<Order, string> {
  constructor(private readonly outside: pg.Pool) {
    super();
  }

  @SagaStep({ transactional: true, timeout: '30s', retry: { attempts: 20, backoff: '200ms' } })
  async accept(@SagaInput() { orderId }: Order, @TransactionManager() app: AppTransaction) {
    await localEffect(app, orderId, 'accept');
  }

  @Compensate('accept', {
    transactional: true,
    timeout: '30s',
    retry: { attempts: 50, backoff: '200ms', maxDelay: '5s' },
  })
  async reject(@SagaInput() { orderId }: Order, @TransactionManager() app: AppTransaction) {
    await localEffect(app, orderId, 'reject');
  }

  @SagaStep({ dependsOn: ['accept'], timeout: '30s', retry: { attempts: 20, backoff: '200ms' } })
  async charge(@SagaInput() { orderId }: Order, @IdempotencyKey() key: string) {
    await this.#atTheProvider(orderId, 'charge', key);
  }

  @Compensate('charge', {
    timeout: '30s',
    retry: { attempts: 50, backoff: '200ms', maxDelay: '5s' },
  })
  async refund(@SagaInput() { orderId }: Order, @IdempotencyKey() key: string) {
    await this.#atTheProvider(orderId, 'refund', key);
  }

  @SagaStep({ dependsOn: ['charge'], replyTimeout: '10m' })
  reserve(@SagaInput() { orderId }: Order) {
    return command(ReserveStock, { orderId });
  }

  @Compensate('reserve', { replyTimeout: '1m', retry: { attempts: 50, backoff: '200ms' } })
  release(@SagaInput() { orderId }: Order) {
    return command(ReleaseStock, { orderId });
  }

  @SagaStep({
    dependsOn: ['reserve'],
    transactional: true,
    timeout: '30s',
    retry: { attempts: 20, backoff: '200ms' },
  })
  async confirm(
    @SagaInput() { orderId }: Order,
    @TransactionManager() app: AppTransaction,
  ): Promise<string> {
    await localEffect(app, orderId, 'confirm');
    if (orderId.startsWith('bad')) throw new NonRetryableError('Nobody wants this order.');
    return orderId;
  }

  /** Commits at once, as a call of another system would, and fails now and then. */
  async #atTheProvider(orderId: string, step: string, key: string): Promise<void> {
    const dice = Math.random();
    if (dice < CALLS_THAT_FAIL / 2) throw new Error('The provider did not take the call.');
    await this.outside.query('INSERT INTO app.external_effect VALUES ($1, $2, $3)', [
      orderId,
      step,
      key,
    ]);
    if (dice < CALLS_THAT_FAIL) throw new Error('The answer of the provider was lost.');
  }
}
