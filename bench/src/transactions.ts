import {
  newId,
  placeOfKey,
  type Delivery,
  type InboxUnit,
  type OutboxMessage,
  type Store,
} from '@sagaz/core';
import pg from 'pg';
import { handler, processorOf } from './inbox.js';
import { drive, inTurn, type Turns } from './measure.js';
import { messageOf } from './messages.js';
import { withClient, type BenchServer } from './server.js';
import { perSecond } from './statistics.js';
import { openStore } from './store.js';

const CONNECTIONS = 16;
const COUNT = 8_000;
const ROUNDS = 5;
const BUSINESS = 'INSERT INTO business (content) VALUES ($1)';
const CONTENT = 'x'.repeat(200);

export type Enqueue = 'bare' | 'plainInsert' | 'enqueue';

/**
 * The same business transaction alone, with a plain insert of the same columns into a table with
 * nothing but a primary key, and with a message in the outbox.
 */
export async function enqueueVsBare(server: BenchServer): Promise<Turns<Enqueue>> {
  return withBusiness(await server.database(), async (pool, store) => {
    await pool.query(
      'CREATE TABLE plain (LIKE sagaz.outbox INCLUDING DEFAULTS, PRIMARY KEY (slot, seq))',
    );
    let key = 0;
    return inTurn(ROUNDS, {
      bare: () => rate(pool, business),
      plainInsert: () =>
        rate(pool, async (client) => {
          await business(client);
          await client.query(plainInsert(messageOf(`key-${String((key += 1))}`)));
        }),
      enqueue: () => enqueueRate(pool, store),
    });
  });
}

/** Business transactions a second, each with a message of a key of its own. */
export function enqueueRate(pool: pg.Pool, store: Store, count = COUNT): Promise<number> {
  let key = 0;
  return rate(
    pool,
    async (client) => {
      await business(client);
      const message = messageOf(`key-${String((key += 1))}`);
      await store.outbox.append([message], store.transactions.enlist(client));
    },
    count,
  );
}

function plainInsert(message: OutboxMessage): pg.QueryConfig {
  return {
    text: `INSERT INTO plain (slot, id, tenant, topic, key, type, source, time, content_type, headers, payload)
      VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)`,
    values: [
      placeOfKey(message.tenant, message.topic, message.key).slot,
      message.id,
      message.tenant,
      message.topic,
      message.key,
      message.type,
      message.source,
      message.time,
      message.contentType,
      JSON.stringify(message.headers),
      Buffer.from(message.payload),
    ],
  };
}

async function business(client: pg.ClientBase): Promise<void> {
  await client.query(BUSINESS, [CONTENT]);
}

/**
 * The same handler alone, behind the least that remembers a message (a plain insert of its id), and
 * behind the inbox.
 */
export async function inboxVsBare(
  server: BenchServer,
): Promise<Turns<'bare' | 'plainInsert' | 'inbox'>> {
  return withBusiness(await server.database(), async (pool, store) => {
    await pool.query('CREATE TABLE seen (id text PRIMARY KEY)');
    return inTurn(ROUNDS, {
      bare: () => rate(pool, business),
      plainInsert: () =>
        rate(pool, async (client) => {
          await client.query('INSERT INTO seen (id) VALUES ($1)', [newId()]);
          await business(client);
        }),
      inbox: () => inboxRate(pool, store),
    });
  });
}

/** Handlers a second behind the inbox, which keeps what it saw: each round has messages of its own. */
export async function inboxRate(pool: pg.Pool, store: Store, count = COUNT): Promise<number> {
  const processor = processorOf(store);
  const { signal } = new AbortController();
  const handle = async (message: OutboxMessage): Promise<void> => {
    const delivery: Delivery = { message, group: 'bench', attempt: 1, signal };
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
      return attempt.run(unit, () =>
        client === undefined ? Promise.reject(new Error('no client')) : business(client),
      );
    });
  };
  // Made beforehand: a broker brings them, with or without an inbox.
  const messages = Array.from({ length: count }, (_, index) => messageOf(`key-${String(index)}`));
  const next = messages.values();
  const handleNext = (): Promise<void> => {
    const { value } = next.next();
    return value === undefined ? Promise.resolve() : handle(value);
  };
  return perSecond(count, await drive(count, CONNECTIONS, handleNext));
}

/** In a database of its own, with a table for the business. */
export async function withBusiness<T>(
  url: string,
  measure: (pool: pg.Pool, store: Store) => Promise<T>,
): Promise<T> {
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
  count = COUNT,
): Promise<number> {
  const ms = await drive(count, CONNECTIONS, async () => {
    const client = await pool.connect();
    try {
      await client.query('BEGIN');
      await work(client);
      await client.query('COMMIT');
    } finally {
      client.release();
    }
  });
  return perSecond(count, ms);
}
