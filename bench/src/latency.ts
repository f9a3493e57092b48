import { fork } from 'node:child_process';
import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { hintSlots, Relay, replyMail, systemClock } from '@sagaz/core';
import { postgresBroker } from '@sagaz/postgres';
import pg from 'pg';
import { messageOf } from './messages.js';
import { withClient, type BenchServer } from './server.js';
import { quantile } from './statistics.js';
import { openStore, quietLogger } from './store.js';
import type { LatencyRun, Seen } from './workers/latency-consumer.js';

const PER_SECOND = 200;
/** The number of first rounds that do not count, while plans, caches and the compiler warm up. */
const WARM = 1_000;

export interface Latency {
  readonly p50: number;
  readonly p99: number;
}

export interface LatencyFindings {
  /** Commit answered here → handler called in another process, through relay, broker and inbox. */
  readonly handler: Latency;
  /** Insert with NOTIFY answered here → row read in another process. */
  readonly bare: Latency;
  /**
   * Commit answered here → handler called in another process, by the bare statements that this takes:
   * read the row; insert it into the broker's database with NOTIFY; there read it, BEGIN, insert its id.
   */
  readonly chain: Latency;
}

/**
 * Measures at 200 a second of each kind. The kinds alternate, so that changes in the machine's speed
 * affect all.
 */
export async function latencies(
  server: Pick<BenchServer, 'database'>,
  count = 6_000,
): Promise<LatencyFindings> {
  const url = await server.database();
  const brokerUrl = await server.database();
  await withClient(url, (client) =>
    client.query(`CREATE TABLE bare (id bigint PRIMARY KEY, content text NOT NULL);
      CREATE TABLE chain (id bigint PRIMARY KEY, content text NOT NULL);
      CREATE TABLE chain_seen (id bigint PRIMARY KEY)`),
  );
  await withClient(brokerUrl, (client) =>
    client.query('CREATE TABLE chain (id bigint PRIMARY KEY, content text NOT NULL)'),
  );
  const store = await openStore(url);
  const broker = await postgresBroker({ url: brokerUrl }).create({
    service: 'bench',
    logger: quietLogger,
    clock: systemClock,
  });
  const run: LatencyRun = { url, brokerUrl, count };
  const script = fileURLToPath(new URL('./workers/latency-consumer.js', import.meta.url));
  const consumer = fork(script, [JSON.stringify(run)], {
    stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
  });
  await once(consumer, 'message');
  const relay = new Relay({
    outbox: store.outbox,
    broker,
    wakeUps: store.wakeUps,
    replyMail,
    clock: systemClock,
    logger: quietLogger,
  });
  await relay.start();
  await sleep(2_000); // Slots are leased, groups have joined.
  const pool = new pg.Pool({ connectionString: url, max: 4 });
  const brokerPool = new pg.Pool({ connectionString: brokerUrl, max: 2 });
  const sent = {
    handled: new Map<string, bigint>(),
    bare: new Map<string, bigint>(),
    chain: new Map<string, bigint>(),
  };
  const failures: unknown[] = [];
  try {
    const began = performance.now();
    for (let index = 0; index < count; index += 1) {
      await sleep(Math.max(0, began + (index * 1000) / PER_SECOND - performance.now()));
      const key = String(index);
      const client = await pool.connect();
      await client.query('BEGIN');
      const message = messageOf(key);
      await store.outbox.append([message], store.transactions.enlist(client));
      await client.query('COMMIT');
      sent.handled.set(key, process.hrtime.bigint());
      hintSlots(store.wakeUps, 'outbox', [message]);
      client.release();
      await sleep(2);
      await pool.query(
        `WITH written AS (INSERT INTO bare VALUES ($1, $2) RETURNING id)
         SELECT pg_notify('bare', id::text) FROM written`,
        [index, 'x'.repeat(400)],
      );
      sent.bare.set(key, process.hrtime.bigint());
      await pool.query('INSERT INTO chain VALUES ($1, $2)', [index, 'x'.repeat(400)]);
      sent.chain.set(key, process.hrtime.bigint());
      relayChain(pool, brokerPool, index).catch((error: unknown) => {
        failures.push(error);
      });
    }
    if (failures.length > 0) throw new Error('The chain broke.', { cause: failures[0] });
    consumer.send('report');
    const [seen] = (await once(consumer, 'message')) as [Seen];
    await once(consumer, 'exit');
    return {
      handler: latencyOf(sent.handled, seen.handled, count),
      bare: latencyOf(sent.bare, seen.bare, count),
      chain: latencyOf(sent.chain, seen.chain, count),
    };
  } finally {
    await relay.close(5_000);
    await pool.end();
    await brokerPool.end();
    await broker.close();
    await store.close();
  }
}

async function relayChain(pool: pg.Pool, brokerPool: pg.Pool, index: number): Promise<void> {
  const { rows } = await pool.query<{ content: string }>({
    name: 'chain',
    text: 'SELECT content FROM chain WHERE id = $1',
    values: [index],
  });
  await brokerPool.query({
    name: 'chain',
    text: `WITH written AS (INSERT INTO chain VALUES ($1, $2) RETURNING id)
      SELECT pg_notify('chain', id::text) FROM written`,
    values: [index, rows[0]?.content],
  });
}

function latencyOf(
  sent: ReadonlyMap<string, bigint>,
  seen: readonly (readonly [key: string, at: string])[],
  count: number,
): Latency {
  const ms = seen.flatMap(([key, at]) => {
    const from = sent.get(key);
    if (from === undefined || Number(key) < WARM) return [];
    return [Number(BigInt(at) - from) / 1e6];
  });
  if (ms.length < count - WARM)
    throw new Error(`Only ${String(ms.length)} of ${String(count - WARM)} arrived.`);
  return { p50: quantile(ms, 0.5), p99: quantile(ms, 0.99) };
}
