import { placeOfKey, type Broker, type Delivery, type Message } from '@sagaz/core';
import { describeEachPostgres } from '@sagaz/test-support';
import type pg from 'pg';
import { afterAll, afterEach, beforeAll, beforeEach, expect, it, vi } from 'vitest';
import { SagazPool } from '../connection/index.js';
import { BrokerDatabase, freshTopic, message } from './broker.fixture.js';

/** In place of the product's own size of a step, which would need tens of thousands of messages. */
const STEP = 400;
/** More than six steps. */
const MANY = 2_500;
const KEYS = 100;
const PATIENT = { timeout: 25_000 };

const messageOf = (topic: string, key: string, n: number): Message =>
  message(topic, key, { payload: Buffer.from(String(n)) });

/** Counts what it is given and holds it to the order of its key. */
class Reader {
  readonly seen: number[] = [];
  readonly disorder: string[] = [];
  readonly #last = new Map<string, number>();
  #wanted = Infinity;
  #enough: () => void = () => undefined;

  readonly handle = ({ message }: Delivery): Promise<{ kind: 'done' }> => {
    const n = Number(Buffer.from(message.payload).toString());
    const before = this.#last.get(message.key) ?? -1;
    if (n <= before) this.disorder.push(`${message.key}: ${String(n)} after ${String(before)}`);
    this.#last.set(message.key, n);
    this.seen.push(n);
    if (this.seen.length >= this.#wanted) this.#enough();
    return Promise.resolve({ kind: 'done' });
  };

  count(n: number): Promise<void> {
    if (this.seen.length >= n) return Promise.resolve();
    this.#wanted = n;
    return new Promise((resolve) => (this.#enough = resolve));
  }
}

describeEachPostgres('what lay in a topic before its first group', (server) => {
  let database: BrokerDatabase;
  let admin: pg.Client;

  beforeAll(async () => {
    database = await BrokerDatabase.open(server);
    ({ admin } = database);
    await broker();
  });
  beforeEach(() => watchSteps());
  afterEach(async () => {
    vi.restoreAllMocks();
    await database.closeBrokers();
  });
  afterAll(() => database.drop());

  const broker = (): Promise<Broker> => database.broker({ pollIntervalMs: 20 });

  /** As many publishes would have left it; the n-th of all is of key n % KEYS. */
  async function abandon(topic: string, count: number): Promise<void> {
    await admin.query(
      `INSERT INTO sagaz_broker.message
        (queue, lane, slot, id, tenant, topic, key, type, source, time, content_type, headers, payload)
      SELECT 0, 6, ($3::int[])[n % ${String(KEYS)} + 1], 'id-' || n, '', $1::text, 'k' || n % ${String(KEYS)}, 't', 's', 'now', 'c', '{}', n::text::bytea
      FROM generate_series(0, $2::int - 1) AS g (n) ORDER BY g.n`,
      [
        topic,
        count,
        Array.from({ length: KEYS }, (_, k) => placeOfKey('', topic, `k${String(k)}`).slot),
      ],
    );
  }

  const subscribing = (one: Broker, topic: string, reader: Reader, group = topic) =>
    one.subscribe({ group, topics: [topic], concurrency: 50, handle: reader.handle });

  /**
   * Makes the steps of handing over small, and collects how large the product wanted each. The steps
   * from the one with this number on fail, as if the process were dead.
   */
  function watchSteps(failing = Infinity): readonly number[] {
    vi.restoreAllMocks();
    const wanted: number[] = [];
    const original = SagazPool.prototype.query;
    vi.spyOn(SagazPool.prototype, 'query').mockImplementation(function (
      this: SagazPool,
      statement,
    ) {
      if (!statement.text.includes('.hand_over(')) return original.call(this, statement);
      const values = statement.values ?? [];
      wanted.push(Number(values[4]));
      if (wanted.length >= failing) return Promise.reject(new Error('died'));
      return original.call(this, { ...statement, values: [...values.slice(0, 4), STEP] });
    });
    return wanted;
  }

  it('is handed over in steps, in the order of each key, and is followed by what came meanwhile', async () => {
    const [topic, reader] = [freshTopic(), new Reader()];
    await abandon(topic, MANY);
    const wanted = watchSteps();
    const [one, other] = [await broker(), await broker()];
    const joined = subscribing(one, topic, reader);
    let n = MANY;
    const publishing = (async () => {
      for (; n < MANY + KEYS; n += 1) {
        const [outcome] = await other.publish([messageOf(topic, `k${String(n % KEYS)}`, n)]);
        expect(outcome?.kind).toBe('acknowledged');
      }
    })();
    await Promise.all([joined, publishing]);
    await reader.count(MANY + KEYS);
    expect(reader.disorder).toEqual([]);
    expect(reader.seen).toHaveLength(MANY + KEYS);
    expect(wanted.length).toBeGreaterThan(MANY / STEP);
    expect(Math.max(...wanted)).toBeLessThanOrEqual(10_000);
  });

  it('stays the group’s when its process dies in the middle, and its next start goes on', async () => {
    const [topic, reader, others] = [freshTopic(), new Reader(), new Reader()];
    await abandon(topic, MANY);
    watchSteps(2);
    const one = await broker();
    const dying = await subscribing(one, topic, reader);
    await vi.waitFor(() => expect(dying.problem()).toContain('died'), PATIENT);
    await one.close();
    watchSteps();
    // Another group comes in between: what lies there is not its own, what is published now is both's.
    const two = await broker();
    await subscribing(two, topic, others, `${topic}.other`);
    await two.publish([messageOf(topic, 'k0', MANY)]);
    await others.count(1);
    expect(others.seen).toEqual([MANY]);
    await subscribing(await broker(), topic, reader);
    await two.publish([messageOf(topic, 'k0', MANY + 1)]);
    await reader.count(MANY + 2);
    await others.count(2);
    expect(reader.disorder).toEqual([]);
    expect(reader.seen.toSorted((a, b) => a - b)).toEqual(
      Array.from({ length: MANY + 2 }, (_, i) => i),
    );
    const { rows } = await admin.query(
      `SELECT FROM sagaz_broker.message WHERE topic = $1 AND lane = 6`,
      [topic],
    );
    expect(rows).toHaveLength(0);
  });

  it('is handed over although a step failed', async () => {
    const [topic, reader] = [freshTopic(), new Reader()];
    await abandon(topic, MANY);
    watchSteps(2);
    const subscription = await subscribing(await broker(), topic, reader);
    await vi.waitFor(() => expect(subscription.problem()).not.toBeNull(), PATIENT);
    watchSteps();
    await reader.count(MANY);
    expect(reader.disorder).toEqual([]);
    await vi.waitFor(() => expect(subscription.problem()).toBeNull(), PATIENT);
  });

  it('is handed over once by two processes of the group that start together', async () => {
    const [topic, reader] = [freshTopic(), new Reader()];
    await abandon(topic, MANY);
    await Promise.all([
      subscribing(await broker(), topic, reader),
      subscribing(await broker(), topic, reader),
    ]);
    await reader.count(MANY);
    expect(reader.disorder).toEqual([]);
    expect(new Set(reader.seen).size).toBe(MANY);
  });
});
