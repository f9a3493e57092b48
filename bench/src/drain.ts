import {
  Relay,
  replyMail,
  systemClock,
  type Broker,
  type Message,
  type PublishOutcome,
  type Store,
} from '@sagaz/core';
import pg from 'pg';
import { drive } from './measure.js';
import { messageOf } from './messages.js';
import type { BenchServer } from './server.js';
import { median, perSecond } from './statistics.js';
import { openStore, quietLogger } from './store.js';

const BATCH = 1_000;

export interface DrainFindings {
  /** Messages a second through the relay, with a broker that does nothing. */
  readonly relay: number;
  readonly oneByOne: number;
  readonly bareLoop: number;
  /** Rates of the relay with so many waiting. */
  readonly waitingTenThousand: number;
  readonly waitingMillion: number;
}

/** Compares the relay with two loops that guarantee nothing, on the same table with the same rows. */
export async function drains(server: BenchServer): Promise<DrainFindings> {
  const rows = 100_000;
  const relay: number[] = [];
  const oneByOne: number[] = [];
  const bareLoop: number[] = [];
  const url = await server.database();
  const store = await openStore(url);
  const pool = new pg.Pool({ connectionString: url, max: 10 });
  pool.on('error', () => undefined);
  try {
    for (let round = 0; round < 3; round += 1) {
      await fill(store, rows);
      relay.push(await relayRate(store, rows));
      await fill(store, rows / 5);
      oneByOne.push(await oneByOneRate(pool, rows / 5));
      await fill(store, rows);
      bareLoop.push(await bareRate(pool, rows));
    }
  } finally {
    await pool.end();
    await store.close();
  }
  return {
    relay: median(relay),
    oneByOne: median(oneByOne),
    bareLoop: median(bareLoop),
    ...(await backlogRates(server)),
  };
}

async function backlogRates(
  server: BenchServer,
): Promise<Pick<DrainFindings, 'waitingTenThousand' | 'waitingMillion'>> {
  const store = await openStore(await server.database());
  try {
    const small: number[] = [];
    for (let round = 0; round < 5; round += 1) {
      await fill(store, 10_000);
      small.push(await relayRate(store, 10_000));
    }
    await fill(store, 1_000_000);
    return { waitingTenThousand: median(small), waitingMillion: await relayRate(store, 1_000_000) };
  } finally {
    await store.close();
  }
}

export async function fill(store: Store, rows: number): Promise<void> {
  await drive(rows / BATCH, 4, (batch) =>
    store.outbox.append(
      Array.from({ length: BATCH }, (_, index) =>
        messageOf(`key-${String((batch * BATCH + index) % 50_000)}`),
      ),
    ),
  );
}

/** From the first publish to the last completion. */
export async function relayRate(store: Store, rows: number): Promise<number> {
  let published = 0;
  let began = NaN;
  let done: () => void = () => undefined;
  const all = new Promise<void>((resolve) => (done = resolve));
  const relay = new Relay({
    outbox: store.outbox,
    broker: nullBroker((batch) => {
      if (Number.isNaN(began)) began = performance.now();
      published += batch.length;
      if (published >= rows) done();
    }),
    clock: systemClock,
    logger: quietLogger,
    replyMail,
    settings: { batchSize: BATCH },
  });
  await relay.start();
  await all;
  await relay.close(10_000);
  return perSecond(rows, performance.now() - began);
}

function nullBroker(onPublish: (batch: readonly Message[]) => void): Broker {
  return {
    name: 'null',
    orderedBatches: true,
    publish: (batch) => {
      onPublish(batch);
      return Promise.resolve(batch.map((): PublishOutcome => ({ kind: 'acknowledged' })));
    },
    subscribe: () => Promise.reject(new Error('The null broker delivers nothing.')),
    health: () => Promise.resolve(),
    close: () => Promise.resolve(),
  };
}

/** Reads a batch, then deletes each message by a statement of its own, on ten connections. */
async function oneByOneRate(pool: pg.Pool, rows: number): Promise<number> {
  const began = performance.now();
  for (;;) {
    const { rows: batch } = await pool.query<{ slot: number; seq: string }>(
      'SELECT * FROM sagaz.outbox ORDER BY slot, seq LIMIT $1',
      [BATCH],
    );
    if (batch.length === 0) break;
    await drive(batch.length, 10, (index) =>
      pool.query('DELETE FROM sagaz.outbox WHERE slot = $1 AND seq = $2', [
        batch[index]?.slot,
        batch[index]?.seq,
      ]),
    );
  }
  return perSecond(rows, performance.now() - began);
}

/**
 * Reads and deletes a batch in one statement, on one connection, without order and without safety
 * after a crash.
 */
async function bareRate(pool: pg.Pool, rows: number): Promise<number> {
  const client = await pool.connect();
  try {
    const began = performance.now();
    for (;;) {
      const { rowCount } = await client.query(
        `DELETE FROM sagaz.outbox
          WHERE (slot, seq) IN (SELECT slot, seq FROM sagaz.outbox ORDER BY slot, seq LIMIT $1)
          RETURNING *`,
        [BATCH],
      );
      if (rowCount === 0) return perSecond(rows, performance.now() - began);
    }
  } finally {
    client.release();
  }
}
