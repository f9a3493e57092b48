import { createHash, randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { Injectable, type OnApplicationShutdown } from '@nestjs/common';
import { Pool, type PoolClient } from 'pg';
import { z } from 'zod';
import { PaymentDeclinedError, PaymentProvider, type Authorisation } from './payment-provider.js';

export interface SimulationOptions {
  /** The share of payments that are declined; always the same ones. */
  readonly declineRate: number;
  /** The share of calls that fail, half of them after the deed. */
  readonly failureRate: number;
  /** The longest time an answer takes, in milliseconds. */
  readonly delayMs: number;
}

const operationRow = z.object({ payment_id: z.string().nullable(), undone: z.boolean() });
const paymentRow = z.object({ order_id: z.string(), amount_cents: z.number(), status: z.string() });

/**
 * Stands for a provider on the other side of the world: it keeps its own books, on connections of
 * its own, so that no transaction of this service can undo what it did. It declines, it is slow,
 * and it fails, sometimes after the deed.
 */
@Injectable()
export class SimulatedPaymentProvider extends PaymentProvider implements OnApplicationShutdown {
  private readonly books: Pool;

  constructor(
    url: string,
    private readonly options: SimulationOptions,
  ) {
    super();
    this.books = new Pool({ connectionString: url, max: 5 });
    // A connection broke. The call that uses it is told by its own query; the next one opens another.
    this.books.on('error', () => undefined);
    this.books.on('connect', (client) => client.on('error', () => undefined));
  }

  async authorise(key: string, { orderId, amountCents }: Authorisation) {
    return this.operate(key, async (books, operation) => {
      if (operation.undone) throw new PaymentDeclinedError(orderId);
      if (operation.payment_id === null) {
        const status = shareOf(orderId) < this.options.declineRate ? 'declined' : 'authorised';
        const paymentId = `pay_${randomUUID()}`;
        await books.query(
          `INSERT INTO simulated_provider.payment (payment_id, order_id, amount_cents, status)
           VALUES ($1, $2, $3, $4)`,
          [paymentId, orderId, amountCents, status],
        );
        await assign(books, key, paymentId);
        operation.payment_id = paymentId;
      }
      const payment = await read(books, operation.payment_id);
      if (payment.status === 'declined') throw new PaymentDeclinedError(orderId);
      return { paymentId: operation.payment_id };
    });
  }

  async capture(key: string, paymentId: string) {
    return this.operate(key, async (books, operation) => {
      const payment = await read(books, paymentId);
      if (operation.undone) throw new PaymentDeclinedError(payment.order_id);
      if (operation.payment_id === null) {
        if (payment.status !== 'authorised') throw new PaymentDeclinedError(payment.order_id);
        await books.query(
          `UPDATE simulated_provider.payment
              SET status = 'captured', captures = captures + 1 WHERE payment_id = $1`,
          [paymentId],
        );
        await assign(books, key, paymentId);
      }
      return { capturedCents: payment.amount_cents };
    });
  }

  async void(key: string): Promise<void> {
    await this.undo(key, 'authorised', 'voided');
  }

  async refund(key: string): Promise<void> {
    await this.undo(key, 'captured', 'refunded');
  }

  async onApplicationShutdown(): Promise<void> {
    await this.books.end();
  }

  /** Also for a key never seen: whatever still comes under it will be refused. */
  private async undo(key: string, from: string, to: string): Promise<void> {
    await this.operate(key, async (books, { payment_id }) => {
      await books.query(
        'UPDATE simulated_provider.operation SET undone = true WHERE idempotency_key = $1',
        [key],
      );
      await books.query(
        `UPDATE simulated_provider.payment SET status = $3 WHERE payment_id = $1 AND status = $2`,
        [payment_id, from, to],
      );
    });
  }

  /** One call at a time for a key; what it decides is on the books before it answers. */
  private async operate<T>(
    key: string,
    work: (books: PoolClient, operation: z.infer<typeof operationRow>) => Promise<T>,
  ): Promise<T> {
    await sleep(Math.random() * this.options.delayMs);
    const fate = Math.random() / this.options.failureRate;
    if (fate < 0.5) throw new Error('The payment provider did not answer.');
    const books = await this.books.connect();
    try {
      await books.query('BEGIN');
      await books.query(
        `INSERT INTO simulated_provider.operation (idempotency_key) VALUES ($1)
         ON CONFLICT DO NOTHING`,
        [key],
      );
      const { rows } = await books.query(
        `SELECT payment_id, undone FROM simulated_provider.operation
          WHERE idempotency_key = $1 FOR UPDATE`,
        [key],
      );
      const result = await settled(work(books, operationRow.parse(rows[0])));
      // A "no" is a decision too, and stays on the books.
      await books.query('COMMIT');
      if (fate < 1) throw new Error('The payment provider did the deed and did not answer.');
      return result();
    } catch (error) {
      await books.query('ROLLBACK').catch(() => undefined);
      throw error;
    } finally {
      books.release();
    }
  }
}

/** Keeps a decline for after the commit; lets everything else through at once. */
async function settled<T>(work: Promise<T>): Promise<() => T> {
  try {
    const value = await work;
    return () => value;
  } catch (error) {
    if (!(error instanceof PaymentDeclinedError)) throw error;
    return () => {
      throw error;
    };
  }
}

async function assign(books: PoolClient, key: string, paymentId: string): Promise<void> {
  await books.query(
    'UPDATE simulated_provider.operation SET payment_id = $2 WHERE idempotency_key = $1',
    [key, paymentId],
  );
}

async function read(books: PoolClient, paymentId: string): Promise<z.infer<typeof paymentRow>> {
  const { rows } = await books.query(
    'SELECT order_id, amount_cents, status FROM simulated_provider.payment WHERE payment_id = $1',
    [paymentId],
  );
  return paymentRow.parse(rows[0]);
}

/** A number in 0 … 1 that is always the same for the same text. */
function shareOf(text: string): number {
  return createHash('sha256').update(text).digest().readUInt32BE(0) / 0xffff_ffff;
}
