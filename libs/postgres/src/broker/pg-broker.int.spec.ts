import { placeOfKey, systemClock, type Broker, type Message } from '@sagaz/core';
import { describeEachPostgres } from '@sagaz/test-support';
import type pg from 'pg';
import { afterAll, afterEach, beforeAll, expect, it, vi } from 'vitest';
import { SagazPool } from '../connection/index.js';
import {
  BrokerDatabase,
  freshTopic,
  Inbox,
  message,
  quiet,
  type FixtureOptions,
} from './broker.fixture.js';
import { postgresBroker } from './index.js';

/** Of the last read seen: the number up to which every slot was left behind. */
function lowestFloor(statements: readonly { text: string; values?: readonly unknown[] }[]): number {
  const read = statements.findLast(({ text }) => text.includes('.message_read('));
  const floors = read?.values?.[1];
  return typeof floors === 'string' ? Math.min(...floors.slice(1, -1).split(',').map(Number)) : 0;
}

describeEachPostgres('the Postgres broker', (server) => {
  let database: BrokerDatabase;
  let admin: pg.Client;

  beforeAll(async () => {
    database = await BrokerDatabase.open(server);
    ({ admin } = database);
  });
  afterEach(() => database.closeBrokers());
  afterAll(() => database.drop());

  const broker = (service?: string, options: FixtureOptions = {}): Promise<Broker> =>
    database.broker({ ...(service === undefined ? {} : { service }), ...options });

  it('gives a group that joins while a message is being published that message', async () => {
    const [topic, inbox, one] = [freshTopic(), new Inbox(), await broker()];
    // A publisher that has looked up the groups and not yet committed.
    const lock = placeOfKey('', topic, '').lock;
    await admin.query('BEGIN');
    await admin.query(
      `SELECT sagaz_broker.publish($1, '{1}', '{id-1}', '{""}', $2, '{k}', '{t}', '{s}', '{now}', '{c}', '{"{}"}', '{"x"}')`,
      [[lock], [topic]],
    );
    const subscribed = one.subscribe({
      group: `${topic}.late`,
      topics: [topic],
      concurrency: 1,
      handle: inbox.handle,
    });
    // The registration is at the lock before the publisher commits.
    for (;;) {
      const { rowCount } = await admin.query(
        `SELECT FROM pg_locks WHERE locktype = 'advisory' AND NOT granted AND database = (SELECT oid FROM pg_database WHERE datname = current_database())`,
      );
      if ((rowCount ?? 0) > 0) break;
    }
    await admin.query('COMMIT');
    await subscribed;
    const [first] = await inbox.count(1);
    expect(first?.message.id).toBe('id-1');
  });

  it('keeps what is published to a topic without a group, in order, for the first group', async () => {
    const [topic, inbox, one] = [freshTopic(), new Inbox(), await broker()];
    const sent = Array.from({ length: 20 }, (_, i) => message(topic, `k${String(i % 2)}`));
    for (const outcome of await one.publish(sent)) expect(outcome.kind).toBe('acknowledged');
    await one.subscribe({ group: topic, topics: [topic], concurrency: 8, handle: inbox.handle });
    const got = await inbox.count(20);
    for (const key of ['k0', 'k1']) {
      const ofKey = (m: Message) => m.key === key;
      expect(
        got
          .map((d) => d.message)
          .filter(ofKey)
          .map((m) => m.id),
      ).toEqual(sent.filter(ofKey).map((m) => m.id));
    }
    expect(got[0]).toMatchObject({ group: topic, attempt: 1 });
    expect(got[0]?.message).toEqual(sent.find((m) => m.id === got[0]?.message.id));
  });

  it('keeps the order of a key whose older messages were nobody’s when a living group joins', async () => {
    const [joined, topic, inbox] = [freshTopic(), freshTopic(), new Inbox()];
    // So long that its processes learn nothing from a renewal while this runs.
    const one = await broker('spec', { leaseTtlMs: 600_000, pollIntervalMs: 20 });
    const older = Array.from({ length: 50 }, (_, i) =>
      message(topic, 'k', { id: `older-${String(i)}` }),
    );
    await one.publish(older);
    const queries = vi.spyOn(SagazPool.prototype, 'query');
    try {
      const group = { group: `${topic}.living`, concurrency: 4, handle: inbox.handle };
      await one.subscribe({ ...group, topics: [joined] });
      await one.publish([message(joined, 'k')]);
      await inbox.count(1);
      const { rows } = await admin.query<{ last: string }>(
        'SELECT max(seq) AS last FROM sagaz_broker.message WHERE topic = $1',
        [topic],
      );
      // Its process reads from beyond the older messages on.
      const last = Number(rows[0]?.last);
      expect(last).toBeGreaterThan(0);
      await vi.waitFor(
        () => expect(lowestFloor(queries.mock.calls.map(([q]) => q))).toBeGreaterThan(last),
        // It waits for every transaction of the server that is open, those of other tests included.
        { timeout: 100_000 },
      );
      const next = await broker('next version', { leaseTtlMs: 600_000 });
      await next.subscribe({ ...group, topics: [joined, topic] });
      const newer = message(topic, 'k', { id: 'newer' });
      await one.publish([newer]);
      const second = (await inbox.count(2))[1];
      expect(second?.message.id).toBe('older-0');
      const got = (await inbox.count(52)).slice(1).map((delivery) => delivery.message.id);
      expect(got).toEqual([...older, newer].map((m) => m.id));
    } finally {
      queries.mockRestore();
    }
  });

  it('refuses only the message whose data is at fault, and what follows it in its key waits', async () => {
    const [topic, one] = [freshTopic(), await broker()];
    const batch = [
      message(topic, 'a'),
      message(topic, 'b', { type: 'has\u0000nul' }),
      message(topic, 'c'),
      message(topic, 'b'),
      message(topic, 'a'),
    ];
    const outcomes = await one.publish(batch);
    expect(outcomes.map((o) => o.kind)).toEqual([
      'acknowledged',
      'rejected',
      'acknowledged',
      'unavailable',
      'acknowledged',
    ]);
    const { rows } = await admin.query('SELECT id FROM sagaz_broker.message WHERE topic = $1', [
      topic,
    ]);
    expect(rows).toHaveLength(3);
  });

  it('calls a publish whose connection died in the middle unknown', async () => {
    const [topic, one] = [freshTopic(), await broker('victim')];
    const lock = placeOfKey('', topic, '').lock;
    await admin.query('BEGIN');
    await admin.query('SELECT pg_advisory_xact_lock(1396786500, $1)', [lock]);
    const publishing = one.publish([message(topic, 'a')]);
    for (;;) {
      const { rowCount } = await admin.query(
        `SELECT pg_terminate_backend(pid) FROM pg_stat_activity
         WHERE application_name = 'victim (sagaz broker)' AND wait_event_type = 'Lock'`,
      );
      if ((rowCount ?? 0) > 0) break;
    }
    expect((await publishing)[0]?.kind).toBe('unknown');
    await admin.query('ROLLBACK');
  });

  it('delivers again, and only then goes on with the key, what its handler wants again', async () => {
    const [topic, one] = [freshTopic(), await broker()];
    const seen: string[] = [];
    let finished: () => void;
    const all = new Promise<void>((resolve) => (finished = resolve));
    await one.subscribe({
      group: topic,
      topics: [topic],
      concurrency: 4,
      handle: ({ message: { id, key }, attempt }) => {
        seen.push(`${key}:${id}:${String(attempt)}`);
        if (seen.length === 5) finished();
        if (id === 'a1' && attempt < 3) {
          return Promise.resolve({ kind: 'retry', delayMs: 20, error: new Error('not yet') });
        }
        return Promise.resolve({ kind: 'done' });
      },
    });
    await one.publish([
      message(topic, 'a', { id: 'a1' }),
      message(topic, 'a', { id: 'a2' }),
      message(topic, 'b', { id: 'b1' }),
    ]);
    await all;
    expect(seen.filter((s) => s.startsWith('a'))).toEqual(['a:a1:1', 'a:a1:2', 'a:a1:3', 'a:a2:1']);
    expect(seen.indexOf('b:b1:1')).toBeLessThan(seen.indexOf('a:a1:2'));
  });

  it('tells the processes of a group that something was published, wherever they are', async () => {
    const [topic, one] = [freshTopic(), await broker()];
    const group = { group: topic, topics: [topic], concurrency: 1, handle: new Inbox().handle };
    // It has a place in the group no more: what it publishes is for others to handle.
    await (await one.subscribe(group)).close(1_000);
    await admin.query('LISTEN wake_sagaz_broker');
    const told = new Promise<void>((resolve) => {
      admin.on('notification', ({ payload = '' }) => {
        if (payload.includes(`queue:${topic}`)) resolve();
      });
    });
    await one.publish([message(topic, 'k')]);
    await told;
    admin.removeAllListeners('notification');
    await admin.query('UNLISTEN *');
  });

  it('says of what lay there when a process died that it may have been delivered, and of nothing else', async () => {
    const [topic, inbox, one] = [freshTopic(), new Inbox(), await broker()];
    const group = { group: topic, topics: [topic], concurrency: 2, handle: inbox.handle };
    await (await one.subscribe(group)).close(1_000);
    await one.publish([message(topic, 'k')]);
    // A process that has died with these slots, long ago.
    await admin.query(
      `UPDATE sagaz_broker.slot_lease SET owner = 'dead', expires_at = '-infinity' WHERE queue = $1`,
      [topic],
    );
    await one.subscribe(group);
    await inbox.count(1);
    await one.publish([message(topic, 'k')]);
    const got = await inbox.count(2);
    expect(got.map(({ attempt, afterDeath }) => ({ attempt, afterDeath }))).toEqual([
      { attempt: 1, afterDeath: true },
      { attempt: 1, afterDeath: false },
    ]);
  });

  it('gives every group its own copy', async () => {
    const [topic, one, two] = [freshTopic(), await broker(), await broker()];
    const [inboxA, inboxB] = [new Inbox(), new Inbox()];
    await one.subscribe({
      group: `${topic}.a`,
      topics: [topic],
      concurrency: 2,
      handle: inboxA.handle,
    });
    await two.subscribe({
      group: `${topic}.b`,
      topics: [topic],
      concurrency: 2,
      handle: inboxB.handle,
    });
    await one.publish([message(topic, 'k', { id: 'm1' })]);
    expect((await inboxA.count(1))[0]?.message.id).toBe('m1');
    expect((await inboxB.count(1))[0]?.message.id).toBe('m1');
  });

  it('is unhealthy once it is closed, and takes nothing', async () => {
    const one = await broker();
    expect(await one.health()).toMatchObject({ state: 'up' });
    await one.close();
    expect(await one.health()).toMatchObject({
      state: 'down',
      error: { code: 'SAGAZ_BROKER_CLOSED' },
    });
    expect((await one.publish([message('t', 'k')]))[0]?.kind).toBe('unavailable');
  });

  it('says which schema to make where it may not make it', async () => {
    const driver = postgresBroker({ url: database.url, schema: 'not_there', migrate: false });
    await expect(
      driver.create({ service: 'spec', logger: quiet, clock: systemClock }),
    ).rejects.toMatchObject({ code: 'SAGAZ_SCHEMA_OUTDATED' });
  });
});
