import { systemClock, Relay, type DueFloor, type SlotLease } from '@sagaz/core';
import { outboxMessage } from '@sagaz/core/testing';
import { describeEachPostgres } from '@sagaz/test-support';
import { afterAll, beforeAll, beforeEach, expect, it, vi } from 'vitest';
import { schemaName } from '../connection/index.js';
import { DEFAULT_QUEUE } from '../outbox/index.js';
import { OutboxDatabase } from '../outbox/outbox.fixture.js';
import { PageCounter } from './explained.fixture.js';
import { PgSlotQueue } from './index.js';

const SLOTS = Array.from({ length: 256 }, (_, slot) => slot);
const TEN = { limit: 10, bytes: 2 ** 30, inFlight: [] };
const AWAY = 50_000;
const quiet = { debug() {}, info() {}, warn() {}, error() {} };

describeEachPostgres('50,000 messages of a topic that is away', (server) => {
  let database: OutboxDatabase;
  let first: ReturnType<OutboxDatabase['process']>;
  let queue: PgSlotQueue;
  let counter: PageCounter;
  let leases: readonly SlotLease[];

  beforeAll(async () => {
    database = await OutboxDatabase.create(server);
    first = database.process();
    counter = new PageCounter(first.pool);
    queue = new PgSlotQueue(counter, { schema: schemaName('sagaz'), ...DEFAULT_QUEUE });
  });
  beforeEach(async () => {
    await first.pool.query({ text: 'TRUNCATE sagaz.message' });
    await database.empty();
  });
  afterAll(() => database.drop());

  /** Ready, or due retries that have been due since two minutes, in all slots. */
  async function fill(lane: 0 | 1): Promise<void> {
    await first.pool.query({
      text: `INSERT INTO sagaz.message (queue, lane, slot, due_at, id, tenant, topic, key, type, source, time,
          content_type, headers, payload)
        SELECT 1, $1::int, n % 256, CASE WHEN $1::int = 1 THEN clock_timestamp() - interval '2 minutes' END,
          'id-' || n, '', 'away', 'k' || n, 't', 's', '', 'text/plain', '{}', convert_to(rpad('x', 400), 'UTF8')
        FROM generate_series(1, $2::int) AS n`,
      values: [lane, AWAY],
    });
  }

  async function own(): Promise<void> {
    await queue.join('me', 600_000);
    leases = await queue.acquire('me', 600_000, 256);
  }

  it('hold back no other, published by a relay', async () => {
    await fill(0);
    await first.outbox.append(Array.from({ length: 20 }, (_, n) => outboxMessage(`k${n}`, 1)));
    const published: string[] = [];
    const relay = new Relay({
      outbox: first.outbox,
      broker: {
        name: 'spec',
        orderedBatches: true,
        keepsRetries: true,
        subscribe: () => Promise.reject(new Error('not asked for here')),
        ensure: () => Promise.resolve([]),
        health: () => Promise.resolve({ state: 'up', since: new Date(0), forMs: 0 }),
        lag: () => Promise.resolve([]),
        close: () => Promise.resolve(),
        publish: (batch) =>
          Promise.resolve(
            batch.map(({ topic, key }) => {
              if (topic === 'away') return { kind: 'unavailable', error: new Error('away') };
              published.push(key);
              return { kind: 'acknowledged' };
            }),
          ),
      },
      clock: systemClock,
      logger: quiet,
      replyMail: () => {
        throw new Error('No command is given up here.');
      },
    });
    await relay.start();
    try {
      await vi.waitFor(() => expect(new Set(published).size).toBe(20), { timeout: 60_000 });
    } finally {
      await relay.close(1_000);
    }
  });

  it('cost the looks for held keys, due times and unserved messages nothing', async () => {
    await own();
    const looks = {
      held: () => queue.heldKeys('me', leases),
      due: () => queue.nextDueInMs(SLOTS),
      unserved: () => queue.unserved(),
    };
    const alone = new Map<string, number>();
    for (const [name, look] of Object.entries(looks)) alone.set(name, await counter.pagesOf(look));
    await fill(0);
    for (const [name, look] of Object.entries(looks)) {
      const most = 2 * (alone.get(name) ?? 0) + 900;
      expect(await counter.pagesOf(look), name).toBeLessThan(most);
    }
  });

  it('are passed in steps, and cost a read behind them nothing', async () => {
    await fill(0);
    let floors = new Map(SLOTS.map((slot) => [slot, '0']));
    const windows = () => SLOTS.map((slot) => ({ slot, floor: floors.get(slot) ?? '0' }));
    let steps = 0;
    for (let more = true; more; steps += 1) {
      const passed = await first.outbox.passTopics({
        windows: windows(),
        topics: ['away'],
        within: 50,
      });
      floors = new Map(passed.slots.map(({ slot, upTo }) => [slot, upTo]));
      more = passed.slots.some((slot) => slot.more);
    }
    expect(steps).toBeLessThanOrEqual(5);
    await first.outbox.append(Array.from({ length: 20 }, (_, n) => outboxMessage(`k${n}`, 1)));
    const passingOver = { keys: [], topics: ['away'], within: 58 };
    const request = { ...TEN, limit: 500, windows: windows(), perSlot: 8, passingOver };
    // Two pages of the index for each slot, and some of the table.
    expect(await counter.pagesOf(() => queue.read(request))).toBeLessThan(1_500);
    expect((await queue.read(request)).rows).toHaveLength(20);
  });

  it('that are due retries hide no others, and are passed from floor to floor', async () => {
    await fill(1);
    await own();
    await first.outbox.append([outboxMessage('other', 1)]);
    const { rows } = await first.outbox.read({
      ...TEN,
      windows: SLOTS.map((slot) => ({ slot, floor: '0' })),
      perSlot: 1,
    });
    const place = { slot: rows[0]?.slot ?? -1, seq: rows[0]?.seq ?? '' };
    await first.outbox.change('me', leases, [
      { kind: 'retry', place, delayMs: 0, counts: true, error: '' },
    ]);
    let floors: readonly DueFloor[] = [];
    const without = () => ({ topics: ['away'], floors, within: 50 });
    const due = () => first.outbox.readDueRetries('me', leases, { ...TEN, without: without() });
    expect(await due()).toEqual([]);
    for (let step = 0; step < 5; step += 1) {
      const passed = await first.outbox.passDueTopics(SLOTS, without());
      const known = new Map(floors.map((floor) => [floor.slot, floor]));
      for (const floor of passed) known.set(floor.slot, floor);
      floors = [...known.values()];
    }
    expect((await due()).map(({ seq }) => seq)).toEqual([place.seq]);
    expect(await first.outbox.nextDueInMs(SLOTS, without())).toBe(0);
    // The other one has been due for too short a time to be passed, whatever its topic.
    expect(
      await first.outbox.passDueTopics(SLOTS, { ...without(), topics: ['away', 'orders'] }),
    ).toEqual([]);
    const pages = await counter.pagesOf(() =>
      queue.readDueRetries('me', leases, { ...TEN, without: without() }),
    );
    expect(pages).toBeLessThan(1_500);
  });
});
