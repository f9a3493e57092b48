import {
  InboxProcessor,
  jsonCodec,
  parseRetry,
  systemClock,
  type Delivery,
  type InboxUnit,
  type Store,
} from '@sagaz/core';
import pg from 'pg';
import { drive, inTurn, type Pair } from './measure.js';
import { messageOf } from './messages.js';
import { withClient, type BenchServer } from './server.js';
import { perSecond } from './statistics.js';
import { openStore, quietLogger } from './store.js';

const CONNECTIONS = 16;
const COUNT = 8_000;
const ROUNDS = 5;
const BUSINESS = 'INSERT INTO business (content) VALUES ($1)';
const CONTENT = 'x'.repeat(200);

/** The same business transaction with (a) and without (b) a message in the outbox. */
export async function enqueueVsBare(server: BenchServer): Promise<Pair> {
  return withBusiness(server, (pool, store) => {
    let key = 0;
    return inTurn(
      ROUNDS,
      () =>
        rate(pool, async (client) => {
          await client.query(BUSINESS, [CONTENT]);
          key += 1;
          await store.outbox.append(
            [messageOf(`key-${String(key)}`)],
            store.transactions.enlist(client),
          );
        }),
      () =>
        rate(pool, async (client) => {
          await client.query(BUSINESS, [CONTENT]);
        }),
    );
  });
}

/** The same handler behind the inbox (a) and alone (b). */
export async function inboxVsBare(server: BenchServer): Promise<Pair> {
  return withBusiness(server, (pool, store) => {
    const processor = new InboxProcessor({
      inbox: store.inbox,
      outbox: store.outbox,
      transactions: store.transactions,
      service: 'bench',
      clock: systemClock,
      logger: quietLogger,
    });
    const handler = {
      group: 'bench',
      type: 'bench.happened',
      retry: parseRetry({}),
      codec: jsonCodec,
    };
    const { signal } = new AbortController();
    return inTurn(
      ROUNDS,
      async () => {
        const ms = await drive(COUNT, CONNECTIONS, async (index) => {
          const delivery: Delivery = {
            message: messageOf(`key-${String(index)}`),
            group: 'bench',
            attempt: 1,
            signal,
          };
          await processor.receive(delivery, handler, (attempt) => {
            let client: pg.PoolClient | undefined;
            const unit: InboxUnit = {
              run: async (body) => {
                client = await pool.connect();
                try {
                  await client.query('BEGIN');
                  const result = await body(store.transactions.enlist(client), () => undefined);
                  await client.query('COMMIT');
                  return result;
                } finally {
                  client.release();
                }
              },
            };
            return attempt.run(
              unit,
              () => client?.query(BUSINESS, [CONTENT]) ?? Promise.reject(new Error('no client')),
            );
          });
        });
        return perSecond(COUNT, ms);
      },
      () =>
        rate(pool, async (client) => {
          await client.query(BUSINESS, [CONTENT]);
        }),
    );
  });
}

async function withBusiness(
  server: BenchServer,
  measure: (pool: pg.Pool, store: Store) => Promise<Pair>,
): Promise<Pair> {
  const url = await server.database();
  await withClient(url, (client) =>
    client.query('CREATE TABLE business (id bigserial PRIMARY KEY, content text NOT NULL)'),
  );
  const store = await openStore(url);
  const pool = new pg.Pool({ connectionString: url, max: CONNECTIONS });
  pool.on('error', () => undefined);
  try {
    return await measure(pool, store);
  } finally {
    await pool.end();
    await store.close();
  }
}

/** Transactions a second. */
async function rate(
  pool: pg.Pool,
  work: (client: pg.PoolClient) => Promise<void>,
): Promise<number> {
  const ms = await drive(COUNT, CONNECTIONS, async () => {
    const client = await pool.connect();
    try {
      await client.query('BEGIN');
      await work(client);
      await client.query('COMMIT');
    } finally {
      client.release();
    }
  });
  return perSecond(COUNT, ms);
}
