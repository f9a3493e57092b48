import {
  Relay,
  systemClock,
  type Broker,
  type BrokerHealth,
  type Logger,
  type Message,
  type OutboxStore,
  type PublishOutcome,
} from '@sagaz/core';
import { outboxMessage, textsOf } from '@sagaz/core/testing';
import { describeEachPostgres } from '@sagaz/test-support';
import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';
import { afterAll, afterEach, beforeAll, beforeEach, expect, it } from 'vitest';
import { OutboxDatabase } from './outbox.fixture.js';

const TTL_MS = 2_000;
/** Shorter than the 10 s after which a statement without an answer is abandoned. */
const SOON = { timeout: 6_000, interval: 20 };

const quiet: Logger = {
  debug: () => undefined,
  info: () => undefined,
  warn: () => undefined,
  error: () => undefined,
};

/** Takes or refuses messages, and remembers what it took. */
class Recorder implements Broker {
  readonly name = 'recorder';
  readonly orderedBatches = true;
  readonly keepsRetries = true;
  readonly taken: Message[] = [];
  refuses = false;

  async publish(batch: readonly Message[]): Promise<readonly PublishOutcome[]> {
    if (this.refuses) return batch.map(() => ({ kind: 'rejected', error: new Error('not now') }));
    this.taken.push(...batch);
    return batch.map(() => ({ kind: 'acknowledged' }));
  }

  subscribe(): never {
    throw new Error('nobody listens');
  }
  ensure(): Promise<[]> {
    return Promise.resolve([]);
  }
  health(): Promise<BrokerHealth> {
    return Promise.resolve({ state: 'up', since: new Date(0), forMs: 0 });
  }
  lag(): Promise<[]> {
    return Promise.resolve([]);
  }
  close(): Promise<void> {
    return Promise.resolve();
  }
}

describeEachPostgres('while another session has locked a row of the outbox', (server) => {
  let database: OutboxDatabase;
  let producer: ReturnType<OutboxDatabase['process']>;
  let other: pg.Client;
  let broker: Recorder;
  const relays: Relay[] = [];
  beforeAll(async () => {
    database = await OutboxDatabase.create(server);
    producer = database.process();
    other = new pg.Client({ connectionString: database.url });
    await other.connect();
  });
  beforeEach(async () => {
    await database.empty();
    broker = new Recorder();
  });
  afterEach(async () => {
    await other.query('ROLLBACK');
    await Promise.all(relays.splice(0).map((one) => one.close(5_000)));
  });
  afterAll(async () => {
    await other.end();
    await database.drop();
  });

  function relay(outbox: OutboxStore, attempts = 50): Relay {
    const made = new Relay({
      outbox,
      broker,
      clock: systemClock,
      logger: quiet,
      replyMail: () => {
        throw new Error('no sagas here');
      },
      settings: {
        pollIntervalMs: 20,
        leaseTtlMs: TTL_MS,
        publishTimeoutMs: 1_000,
        batchSize: 50,
        retry: { attempts, backoffMs: 60_000, factor: 1, maxDelayMs: 60_000, jitter: 0 },
      },
    });
    relays.push(made);
    return made;
  }

  /** Writes a message for each of the numbers, each with a key of its own. */
  async function write(from: number, to: number): Promise<void> {
    const numbers = Array.from({ length: to - from }, (_, n) => from + n);
    await producer.outbox.append(numbers.map((n) => outboxMessage(`k${n}`, n)));
  }

  async function lock(keys: readonly string[]): Promise<void> {
    await other.query('BEGIN');
    await other.query('SELECT FROM sagaz.message WHERE key = ANY ($1) FOR UPDATE', [keys]);
  }

  const rows = async (status: string): Promise<readonly string[]> => {
    const { rows: found } = await producer.pool.query<{ key: string }>({
      text: 'SELECT key FROM sagaz.message WHERE sagaz.lane_status(lane) = $1 ORDER BY seq',
      values: [status],
    });
    return found.map(({ key }) => key);
  };

  it.each([1, 30])('removes all others that are published, beside %i locked', async (count) => {
    await write(0, 200);
    const locked = Array.from({ length: count }, (_, n) => `k${n * 6}`);
    await lock(locked);
    const publishing = relay(producer.outbox);
    await publishing.start();
    await expect.poll(() => rows('pending'), SOON).toEqual(locked);
    await write(200, 400);
    await expect.poll(() => broker.taken.length, SOON).toBe(400);
    await expect.poll(() => rows('pending'), SOON).toEqual(locked);
    expect(publishing.problem()).toBeNull();
    await other.query('ROLLBACK');
    await expect.poll(() => rows('pending'), { timeout: 20_000 }).toEqual([]);
    expect(new Set(textsOf(broker.taken)).size).toBe(400);
    // No message was published again, because a row that is done stays known until it is removed.
    expect(broker.taken).toHaveLength(400);
  });

  it.each([
    ['retries', 50, 'retrying'],
    ['dead letters', 1, 'dead_letter'],
  ])('makes %s of all others', async (_, attempts, status) => {
    broker.refuses = true;
    await write(0, 100);
    const locked = ['k3', 'k40', 'k77'];
    await lock(locked);
    const publishing = relay(producer.outbox, attempts);
    await publishing.start();
    await expect.poll(async () => (await rows(status)).length, SOON).toBe(97);
    expect(await rows('pending')).toEqual(locked);
    expect(publishing.problem()).toBeNull();
    await other.query('ROLLBACK');
    await expect.poll(async () => (await rows(status)).length, { timeout: 20_000 }).toBe(100);
  });

  it('keeps the leases of all other slots, and counts no crash', async () => {
    const first = relay(producer.outbox);
    await first.start();
    await expect.poll(() => first.leases(), SOON).toBe(256);
    await other.query('BEGIN');
    await other.query(
      "SELECT FROM sagaz.slot_lease WHERE queue = 'outbox:default' AND slot = 7 FOR UPDATE",
    );
    await sleep(2 * TTL_MS);
    expect(first.leases()).toBe(255);
    expect(first.problem()).toBeNull();
    const { rows: owners } = await producer.pool.query<{ owners: string; lapsed: number }>({
      text: `SELECT count(DISTINCT epoch) AS owners, sum(crashes)::int AS lapsed,
          count(*) FILTER (WHERE expires_at <= clock_timestamp())::int AS expired FROM sagaz.slot_lease`,
    });
    expect(owners).toEqual([{ owners: '1', lapsed: 0, expired: 1 }]);
    await other.query('ROLLBACK');
    await expect.poll(() => first.leases(), SOON).toBe(256);
  });

  it('takes and keeps all slots while rows of members are locked', async () => {
    await producer.pool.query({
      text: `INSERT INTO sagaz.slot_member (queue, incarnation, expires_at)
        VALUES ('outbox', 'long dead', clock_timestamp() - interval '1 hour')`,
    });
    await other.query('BEGIN');
    await other.query('SELECT FROM sagaz.slot_member FOR UPDATE');
    const first = relay(producer.outbox);
    await first.start();
    await expect.poll(() => first.leases(), SOON).toBe(256);
    await other.query('ROLLBACK');
    await other.query('BEGIN');
    await other.query('SELECT FROM sagaz.slot_member FOR UPDATE');
    await sleep(2 * TTL_MS);
    expect(first.leases()).toBe(256);
    expect(first.problem()).toBeNull();
  });

  it('renews its leases while it makes one change after the other itself', async () => {
    const process = database.process();
    await write(0, 500);
    await process.outbox.join('busy', TTL_MS);
    const leases = await process.outbox.acquire('busy', TTL_MS, 256);
    const { rows: all } = await process.pool.query<{ slot: number; seq: string }>({
      text: 'SELECT slot, seq FROM sagaz.message',
    });
    const changes = all.map((place) => ({
      kind: 'retry' as const,
      place,
      delayMs: 60_000,
      counts: true,
      error: 'refused',
    }));
    const over = new AbortController();
    const outcomes = new Set<string>();
    const changing = (async () => {
      while (!over.signal.aborted) {
        for (const outcome of await process.outbox.change('busy', leases, changes)) {
          outcomes.add(outcome);
        }
      }
    })();
    const left: number[] = [];
    for (let n = 0; n < 20; n += 1) {
      left.push((await process.outbox.renew('busy', TTL_MS)).busy.length);
      await sleep(10);
    }
    over.abort();
    await changing;
    expect(left.filter((slots) => slots > 0)).toEqual([]);
    expect([...outcomes]).toEqual(['changed']);
  });
});
