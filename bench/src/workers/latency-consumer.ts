import { storeUnit, systemClock } from '@sagaz/core';
import { postgresBroker } from '@sagaz/postgres';
import pg from 'pg';
import { handler, processorOf } from '../inbox.js';
import { openStore, quietLogger } from '../store.js';

export interface LatencyRun {
  readonly url: string;
  readonly brokerUrl: string;
  readonly count: number;
}
/** When each message was seen here, by its key, in nanoseconds of the system's monotonic clock. */
export interface Seen {
  readonly handled: readonly (readonly [key: string, at: string])[];
  readonly bare: readonly (readonly [key: string, at: string])[];
  readonly chain: readonly (readonly [key: string, at: string])[];
}

const { url, brokerUrl, count } = JSON.parse(process.argv[2] ?? '{}') as LatencyRun;
const handled = new Map<string, string>();
const bare = new Map<string, string>();
const chain = new Map<string, string>();
const now = (): string => process.hrtime.bigint().toString();

const store = await openStore(url);
const broker = await postgresBroker({ url: brokerUrl }).create({
  service: 'bench',
  logger: quietLogger,
  clock: systemClock,
});
const processor = processorOf(store);
const subscription = await broker.subscribe({
  group: 'bench',
  topics: ['bench'],
  concurrency: 10,
  handle: (delivery) =>
    processor.receive(delivery, handler, (attempt) =>
      attempt.run(storeUnit(store), () => {
        handled.set(delivery.message.key, now());
        return Promise.resolve();
      }),
    ),
});

const listener = new pg.Client({ connectionString: url });
await listener.connect();
let last: Promise<unknown> = Promise.resolve();
listener.on('notification', ({ payload }) => {
  if (payload === undefined) return;
  last = last
    .then(() => listener.query('SELECT content FROM bare WHERE id = $1', [payload]))
    .then(() => bare.set(payload, now()));
});
await listener.query('LISTEN bare');

const pool = new pg.Pool({ connectionString: url, max: 4 });
const brokerPool = new pg.Pool({ connectionString: brokerUrl, max: 4 });
const brokerListener = new pg.Client({ connectionString: brokerUrl });
await brokerListener.connect();
brokerListener.on('notification', ({ payload }) => {
  if (payload !== undefined) void handleChain(payload);
});
await brokerListener.query('LISTEN chain');

async function handleChain(id: string): Promise<void> {
  await brokerPool.query({
    name: 'chain',
    text: 'SELECT content FROM chain WHERE id = $1',
    values: [id],
  });
  const client = await pool.connect();
  await client.query('BEGIN');
  await client.query({
    name: 'chain',
    text: 'INSERT INTO chain_seen VALUES ($1)',
    values: [id],
  });
  chain.set(id, now());
  await client.query('COMMIT');
  client.release();
}

process.send?.('ready');

process.once('message', () => {
  void (async () => {
    const end = performance.now() + 30_000;
    while ([handled, bare, chain].some(({ size }) => size < count) && performance.now() < end) {
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
    await subscription.close(5_000);
    await listener.end();
    await brokerListener.end();
    await pool.end();
    await brokerPool.end();
    await broker.close();
    await store.close();
    const seen: Seen = { handled: [...handled], bare: [...bare], chain: [...chain] };
    process.send?.(seen, undefined, undefined, () => process.exit(0));
  })();
});
