import { GroupInUseError, UnknownGroupError, type Broker } from '@sagaz/core';
import { describeEachPostgres } from '@sagaz/test-support';
import { afterAll, afterEach, beforeAll, expect, it } from 'vitest';
import {
  BrokerDatabase,
  freshTopic,
  Inbox,
  message,
  type FixtureOptions,
} from './broker.fixture.js';
import { connectGroups, type ConnectedGroups } from './index.js';

describeEachPostgres('consumer groups that nobody serves', (server) => {
  let database: BrokerDatabase;
  let groups: ConnectedGroups;

  beforeAll(async () => {
    database = await BrokerDatabase.open(server);
    await database.broker();
    groups = connectGroups({ url: database.url });
  });
  afterEach(() => database.closeBrokers());
  afterAll(async () => {
    await groups.close();
    await database.drop();
  });

  const broker = (options?: FixtureOptions): Promise<Broker> => database.broker(options);

  /** A group that has joined the topic, and whose only process has ended in good order. */
  async function abandoned(topic: string): Promise<string> {
    const one = await broker();
    const group = `${topic}.group`;
    const subscription = await one.subscribe({
      group,
      topics: [topic],
      concurrency: 1,
      handle: new Inbox().handle,
    });
    await subscription.close(5_000);
    return group;
  }

  it('are named while messages wait for them, with how long the oldest waits', async () => {
    const topic = freshTopic();
    const group = await abandoned(topic);
    expect(await groups.unserved()).toEqual([]);
    const one = await broker();
    await one.publish([message(topic, 'a'), message(topic, 'b')]);
    await database.admin.query(
      `UPDATE sagaz_broker.message SET created_at = created_at - interval '1 hour' WHERE topic = $1 AND key = 'b'`,
      [topic],
    );
    const [unserved, ...others] = (await one.unserved?.()) ?? [];
    expect(others).toEqual([]);
    expect(unserved).toMatchObject({ kind: 'group', name: group });
    expect(unserved?.oldestMs).toBeGreaterThanOrEqual(3_600_000);
    // A retry that nobody will begin waits as well, once it is due.
    await database.admin.query(
      `UPDATE sagaz_broker.message SET lane = 1, due_at = clock_timestamp() - interval '1 minute' WHERE topic = $1`,
      [topic],
    );
    expect(await groups.unserved()).toMatchObject([{ kind: 'group', name: group }]);
    const inbox = new Inbox();
    await one.subscribe({ group, topics: [topic], concurrency: 1, handle: inbox.handle });
    await inbox.count(2);
    expect(await groups.unserved()).toEqual([]);
  });

  it('and topics that no group has joined are named too', async () => {
    const topics = [freshTopic(), freshTopic()];
    const one = await broker();
    await one.publish(topics.flatMap((topic) => [message(topic, 'a'), message(topic, 'b')]));
    const found = await groups.unserved();
    expect(found.map(({ kind, name }) => `${kind} ${name}`).sort()).toEqual(
      topics.map((topic) => `topic ${topic}`).sort(),
    );
    await database.admin.query('DELETE FROM sagaz_broker.message');
  });

  it('can be removed with what waits for them, and begin anew under their name', async () => {
    const topic = freshTopic();
    const group = await abandoned(topic);
    const kept = await abandoned(freshTopic());
    const one = await broker();
    await one.publish([message(topic, 'a'), message(topic, 'b')]);
    await expect(groups.remove('no.such.group')).rejects.toThrow(UnknownGroupError);
    expect(await groups.remove(group)).toBe(2);
    const { rows } = await database.admin.query<{ name: string }>(
      'SELECT name FROM sagaz_broker.queue',
    );
    expect(rows.map(({ name }) => name)).toContain(kept);
    expect(rows.map(({ name }) => name)).not.toContain(group);
    const { rowCount } = await database.admin.query(
      'SELECT FROM sagaz_broker.slot_lease WHERE queue = $1',
      [group],
    );
    expect(rowCount).toBe(0);
    const inbox = new Inbox();
    await one.subscribe({ group, topics: [topic], concurrency: 1, handle: inbox.handle });
    await one.publish([message(topic, 'c')]);
    const [first] = await inbox.count(1);
    expect(first?.message.key).toBe('c');
    await expect(groups.remove(group)).rejects.toThrow(GroupInUseError);
  });

  it('are removed to the end where a removal was cut short', async () => {
    const topic = freshTopic();
    const group = await abandoned(topic);
    const one = await broker();
    await one.publish([message(topic, 'a')]);
    await database.admin.query(
      `UPDATE sagaz_broker.queue SET name = 'removed group ' || id WHERE name = $1`,
      [group],
    );
    const other = await abandoned(freshTopic());
    expect(await groups.remove(other)).toBe(1);
    const { rowCount } = await database.admin.query(
      `SELECT FROM sagaz_broker.queue WHERE name LIKE 'removed group%'`,
    );
    expect(rowCount).toBe(0);
  });
});
