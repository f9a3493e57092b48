import { InboxProcessor, jsonCodec, parseRetry, storeUnit, systemClock } from '@sagaz/core';
import { postgresBroker } from '@sagaz/postgres';
import pg from 'pg';
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
}

const { url, brokerUrl, count } = JSON.parse(process.argv[2] ?? '{}') as LatencyRun;
const handled = new Map<string, string>();
const bare = new Map<string, string>();
const now = (): string => process.hrtime.bigint().toString();

const store = await openStore(url);
const broker = await postgresBroker({ url: brokerUrl }).create({
  service: 'bench',
  logger: quietLogger,
  clock: systemClock,
});
const processor = new InboxProcessor({
  inbox: store.inbox,
  outbox: store.outbox,
  transactions: store.transactions,
  service: 'bench',
  clock: systemClock,
  logger: quietLogger,
});
const handler = { group: 'bench', type: 'bench.happened', retry: parseRetry({}), codec: jsonCodec };
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
listener.on('notification', ({ payload }) => {
  if (payload === undefined) return;
  void listener.query('SELECT content FROM bare WHERE id = $1', [payload]).then(() => {
    bare.set(payload, now());
  });
});
await listener.query('LISTEN bare');
process.send?.('ready');

process.once('message', () => {
  void (async () => {
    const end = performance.now() + 30_000;
    while ((handled.size < count || bare.size < count) && performance.now() < end) {
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
    await subscription.close(5_000);
    await listener.end();
    await broker.close();
    await store.close();
    const seen: Seen = { handled: [...handled], bare: [...bare] };
    process.send?.(seen, undefined, undefined, () => process.exit(0));
  })();
});
