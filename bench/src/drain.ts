import { Relay, replyMail, systemClock, type Store } from '@sagaz/core';
import pg from 'pg';
import { withCost } from './cost.js';
import { drive, inTurn, scaled, type Measured, type Rounds } from './measure.js';
import { messageOf } from './messages.js';
import { nullBroker } from './null-broker.js';
import type { BenchServer } from './server.js';
import { median, perSecond } from './statistics.js';
import { openStore, quietLogger } from './store.js';
import { OUTBOX } from './tables.js';

const BATCH = 1_000;

export type Drain = 'relay' | 'oneByOne' | 'bareLoop';

export interface DrainFindings {
  /** The relay, with a broker that does nothing, and two loops that guarantee nothing. */
  readonly loops: Rounds<Drain>;
  /** Rates of the relay with so many waiting. */
  readonly waitingTenThousand: number;
  readonly waitingMillion: number;
}

/** Compares the relay with two loops that guarantee nothing, on the same table with the same rows. */
export async function drains(server: BenchServer, scale: number): Promise<DrainFindings> {
  const rows = scaled(100_000, scale);
  const few = Math.ceil(rows / 5);
  const url = await server.database();
  const store = await openStore(url);
  const pool = new pg.Pool({ connectionString: url, max: 10 });
  pool.on('error', () => undefined);
  const measure = async (count: number, rate: () => Promise<number>): Promise<Measured> => {
    await fill(store, count);
    const { value, cost } = await withCost(url, count, rate);
    return { perSecond: value, cost };
  };
  try {
    const loops = await inTurn<Drain>(3, ['relay', 'oneByOne', 'bareLoop'], (kind) => {
      switch (kind) {
        case 'relay':
          return measure(rows, () => relayRate(store, rows));
        case 'oneByOne':
          return measure(few, () => oneByOneRate(pool, few));
        case 'bareLoop':
          return measure(rows, () => bareRate(pool, rows));
      }
    });
    return { loops, ...(await backlogRates(server, scale)) };
  } finally {
    await pool.end();
    await store.close();
  }
}

async function backlogRates(
  server: BenchServer,
  scale: number,
): Promise<Pick<DrainFindings, 'waitingTenThousand' | 'waitingMillion'>> {
  const store = await openStore(await server.database());
  try {
    const few = scaled(10_000, scale);
    const small: number[] = [];
    for (let round = 0; round < 5; round += 1) {
      await fill(store, few);
      small.push(await relayRate(store, few));
    }
    const million = scaled(1_000_000, scale);
    await fill(store, million);
    return { waitingTenThousand: median(small), waitingMillion: await relayRate(store, million) };
  } finally {
    await store.close();
  }
}

/** Has so many messages of a topic written, in groups of a thousand. */
export async function fill(store: Store, rows: number, topic?: string): Promise<void> {
  await drive(Math.ceil(rows / BATCH), 4, (batch) =>
    store.outbox.append(
      Array.from({ length: Math.min(BATCH, rows - batch * BATCH) }, (_, index) =>
        messageOf(`key-${String((batch * BATCH + index) % 50_000)}`, topic),
      ),
    ),
  );
}

export interface RelayBounds {
  /** A topic of which the broker takes nothing. */
  readonly away?: string;
  /** After this time the relay is stopped, and what it has published until then counts. Default: never. */
  readonly withinMs?: number;
}

/** Messages a second, from the start of the relay's first publish to that of its last. */
export async function relayRate(
  store: Store,
  rows: number,
  { away, withinMs }: RelayBounds = {},
): Promise<number> {
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
    }, away),
    clock: systemClock,
    // That a topic is away is what is measured, and no warning.
    logger: away === undefined ? quietLogger : { ...quietLogger, warn: () => undefined },
    replyMail,
    settings: { batchSize: BATCH },
  });
  await relay.start();
  const limit = withinMs === undefined ? null : setTimeout(done, withinMs);
  await all;
  const tookMs = performance.now() - began;
  if (limit !== null) clearTimeout(limit);
  await relay.close(10_000);
  return published === 0 ? 0 : perSecond(published, tookMs);
}

const PLACE = OUTBOX.place.join(', ');

/** Reads a batch, then deletes each message by a statement of its own, on ten connections. */
async function oneByOneRate(pool: pg.Pool, rows: number): Promise<number> {
  const where = OUTBOX.place
    .map((column, index) => `${column} = $${String(index + 1)}`)
    .join(' AND ');
  const began = performance.now();
  for (;;) {
    const { rows: batch } = await pool.query<Record<string, unknown>>(
      `SELECT * FROM sagaz.${OUTBOX.table} ORDER BY ${PLACE} LIMIT $1`,
      [BATCH],
    );
    if (batch.length === 0) break;
    await drive(batch.length, 10, (index) =>
      pool.query(
        `DELETE FROM sagaz.${OUTBOX.table} WHERE ${where}`,
        OUTBOX.place.map((column) => batch[index]?.[column]),
      ),
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
        `DELETE FROM sagaz.${OUTBOX.table}
          WHERE (${PLACE}) IN (SELECT ${PLACE} FROM sagaz.${OUTBOX.table} ORDER BY ${PLACE} LIMIT $1)
          RETURNING *`,
        [BATCH],
      );
      if (rowCount === 0) return perSecond(rows, performance.now() - began);
    }
  } finally {
    client.release();
  }
}
