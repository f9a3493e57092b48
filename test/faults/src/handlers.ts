import {
  jsonCodec,
  type Broker,
  type Delivery,
  type HandledDelivery,
  type InboxHandler,
  type InboxProcessor,
} from '@sagaz/core';
import type pg from 'pg';
import type { AppTransaction, AppTransactions } from './app-transactions.js';
import { lag } from './lagging.js';
import { bodyOf } from './messages.js';

const RETRY = { attempts: 5, backoffMs: 50, factor: 1, maxDelayMs: 50, jitter: 0 };

/** Handles commands (`stock`) and events (`order`) through the inbox; the group is the topic's name. */
export function handlerThrough(
  processor: InboxProcessor,
  transactions: AppTransactions,
): (delivery: Delivery) => Promise<HandledDelivery> {
  return (delivery) => {
    const { message, group } = delivery;
    const handler: InboxHandler = { group, type: message.type, retry: RETRY, codec: jsonCodec };
    return processor.receive(delivery, handler, async (attempt) => {
      let app: AppTransaction | undefined;
      const unit = transactions.inboxUnit((opened) => (app = opened));
      await attempt.run(unit, async () => {
        if (app === undefined) throw new TypeError('The unit did not open its transaction.');
        const { orderId = '' } = bodyOf(message.payload);
        await app.query('INSERT INTO app.handler_effect VALUES ($1, $2, $3, $4)', [
          message.id,
          message.type,
          orderId,
          process.pid,
        ]);
        if (await isOn(app, `crash ${message.type}`)) process.kill(process.pid, 'SIGKILL');
        return message.type === 'stock.reserve' ? { reservation: `for ${orderId}` } : undefined;
      });
    });
  };
}

async function isOn(app: AppTransaction, name: string): Promise<boolean> {
  const { rowCount } = await app.query('SELECT FROM app.switch WHERE name = $1', [name]);
  return rowCount === 1;
}

/**
 * Records each delivery, repeated ones too, as a consumer without an inbox sees them. It is slow where
 * the next message of the key is handled quickly, so that a violation of the order shows in the
 * records.
 */
export async function recordDeliveries(broker: Broker, pool: pg.Pool): Promise<void> {
  await broker.subscribe({
    group: 'recorder',
    topics: ['note', 'order'],
    concurrency: 4,
    handle: async ({ message }) => {
      const { n } = bodyOf(message.payload);
      await lag(message);
      await pool.query(
        'INSERT INTO app.delivery (message_id, key, type, n) VALUES ($1, $2, $3, $4)',
        [message.id, message.key, message.type, n ?? null],
      );
      return { kind: 'done' };
    },
  });
}
