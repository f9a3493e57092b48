import { outboxMessage } from '@sagaz/core/testing';
import { describeEachPostgres } from '@sagaz/test-support';
import type { SlotLease, SlotQueueStore } from '@sagaz/core';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { schemaName } from '../connection/index.js';
import { DEFAULT_QUEUE, OutboxDeadLetters, Promotion } from '../outbox/index.js';
import { OutboxDatabase } from '../outbox/outbox.fixture.js';
import { PageCounter } from './explained.fixture.js';
import { LANES, PgSlotQueue } from './index.js';
import { SlotNames } from './slot-table.js';

const ALL_SLOTS = Array.from({ length: 256 }, (_, slot) => ({ slot, floor: '0' }));
const LIMITS = { limit: 500, bytes: 2 ** 30, inFlight: [] };
const NEIGHBOURS = 50_000;

/** One statement or more that each process runs again and again by itself. */
type Call = (
  queue: SlotQueueStore,
  leases: readonly SlotLease[],
  outbox: { readonly letters: OutboxDeadLetters; readonly promotion: Promotion },
) => Promise<unknown>;
const CALLS: Readonly<Record<string, Call>> = {
  read: (queue) => queue.read({ windows: ALL_SLOTS, perSlot: 10, ...LIMITS }),
  'read past busy keys and topics': (queue) =>
    queue.read({
      windows: ALL_SLOTS,
      perSlot: 10,
      ...LIMITS,
      passingOver: { keys: [], topics: ['away'], within: 1_000 },
    }),
  'pass topics': (queue) => queue.passTopics({ windows: ALL_SLOTS, topics: ['away'], within: 50 }),
  'due retries': (queue, leases) => queue.readDueRetries('me', leases, LIMITS),
  'held keys': (queue, leases) => queue.heldKeys('me', leases),
  'next due': (queue, leases) => queue.nextDueInMs(leases.map(({ slot }) => slot)),
  'pass due topics': (queue, leases) =>
    queue.passDueTopics(
      leases.map(({ slot }) => slot),
      { topics: ['away'], floors: [], within: 200 },
    ),
  unserved: (queue) => queue.unserved(),
  stats: (queue) => queue.stats(),
  promote: (_queue, _leases, { promotion }) => promotion.promote(1_000),
  'list dead letters': (_queue, _leases, { letters }) => letters.list({}),
  complete: (queue) => queue.complete(ALL_SLOTS.map(({ slot }) => ({ slot, seq: '1' }))),
};

describeEachPostgres('beside 50,000 messages of another queue', (server) => {
  let database: OutboxDatabase;
  let first: ReturnType<OutboxDatabase['process']>;
  let counter: PageCounter;
  let queue: PgSlotQueue;
  let leases: readonly SlotLease[];
  let outbox: Parameters<Call>[2];
  const alone = new Map<string, number>();

  const pagesOf = (call: Call): Promise<number> =>
    counter.pagesOf(() => call(queue, leases, outbox));

  beforeAll(async () => {
    database = await OutboxDatabase.create(server);
    first = database.process();
    counter = new PageCounter(first.pool);
    const names = new SlotNames({ schema: schemaName('sagaz'), ...DEFAULT_QUEUE });
    queue = new PgSlotQueue(counter, { schema: schemaName('sagaz'), ...DEFAULT_QUEUE });
    outbox = {
      letters: new OutboxDeadLetters(counter, names),
      promotion: new Promotion(counter, first.transactions, names),
    };
    // Of its own this queue has ten messages in each lane that the calls look at.
    await first.outbox.append(Array.from({ length: 30 }, (_, n) => outboxMessage(`k${n}`, 1)));
    await first.outbox.join('me', 600_000);
    leases = await first.outbox.acquire('me', 600_000, 256);
    // Nobody lives, or nothing would be unserved.
    await first.pool.query({ text: 'DELETE FROM sagaz.slot_member' });
    const { rows } = await first.outbox.read({ windows: ALL_SLOTS, perSlot: 10, ...LIMITS });
    await first.outbox.change(
      'me',
      leases,
      rows.slice(0, 20).map(({ slot, seq }, n) => {
        const place = { slot, seq };
        return n < 10
          ? { kind: 'retry', place, delayMs: 0, counts: true, error: '' }
          : { kind: 'hold', place };
      }),
    );
    for (const [name, call] of Object.entries(CALLS)) alone.set(name, await pagesOf(call));
    // Never analysed, as a queue that has just filled.
    for (const lane of Object.values(LANES)) {
      await first.pool.query({
        text: `INSERT INTO sagaz.message (queue, lane, slot, due_at, id, tenant, topic, key, type, source, time,
            content_type, headers, payload)
          SELECT 9, $1::int, n % 256, CASE WHEN $1::int IN (1, 3, 4) THEN clock_timestamp() END, 'id-' || n, '',
            'orders', 'k' || n, 't', 's', '', '', '{}',
            convert_to(rpad('x', 400), 'UTF8')
          FROM generate_series(1, $2::int) AS n`,
        values: [lane, Math.ceil(NEIGHBOURS / 6)],
      });
    }
  });
  afterAll(() => database.drop());

  for (const [name, call] of Object.entries(CALLS)) {
    for (const analysed of [false, true]) {
      it(`${name}: costs what it cost without them${analysed ? ', with statistics of now' : ''}`, async () => {
        if (analysed) await first.pool.query({ text: 'ANALYZE sagaz.message' });
        // An index is one level deeper, and each of 256 slots is looked up in three lanes.
        const most = 2 * (alone.get(name) ?? 0) + 900;
        expect(await pagesOf(call)).toBeLessThan(most);
      });
    }
  }
});
