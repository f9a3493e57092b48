import { describeEachPostgres } from '@sagaz/test-support';
import { afterAll, afterEach, beforeAll, expect, it } from 'vitest';
import { BrokerDatabase, freshTopic, message } from './broker.fixture.js';

describeEachPostgres('how far consumer groups are behind', (server) => {
  let database: BrokerDatabase;
  beforeAll(async () => {
    database = await BrokerDatabase.open(server);
  });
  afterEach(() => database.closeBrokers());
  afterAll(() => database.drop());

  it('is told of every group, with retries and what they hold back, and of topics without a group', async () => {
    const [topic, idle, nobody] = [freshTopic(), freshTopic(), freshTopic()];
    const one = await database.broker();
    expect(await one.lag()).toEqual([]);
    for (const name of [topic, idle]) {
      const subscription = await one.subscribe({
        group: name,
        topics: [name],
        concurrency: 1,
        handle: () => new Promise<never>(() => undefined),
      });
      await subscription.close(0);
    }
    await one.publish([message(topic, 'a'), message(topic, 'a'), message(topic, 'b')]);
    await one.publish([message(nobody, 'a')]);
    await database.admin.query(
      `UPDATE sagaz_broker.message SET lane = 1, due_at = clock_timestamp(),
        created_at = created_at - interval '1 hour'
      WHERE topic = $1 AND seq = (SELECT min(seq) FROM sagaz_broker.message WHERE topic = $1)`,
      [topic],
    );
    const [first, second, third, ...others] = await one.lag();
    expect(first).toMatchObject({ group: topic, topic, messages: 3 });
    expect(first?.oldestAgeMs).toBeGreaterThanOrEqual(3_600_000);
    expect(second).toMatchObject({ group: null, topic: nobody, messages: 1 });
    expect(second?.oldestAgeMs).toBeLessThan(3_600_000);
    expect(third).toEqual({ group: idle, topic: idle, messages: 0, oldestAgeMs: 0 });
    expect(others).toEqual([]);
  });

  it('reads no more of a group than it counts, however much lies there', async () => {
    const topic = freshTopic();
    const one = await database.broker();
    const subscription = await one.subscribe({
      group: topic,
      topics: [topic],
      concurrency: 1,
      handle: () => new Promise<never>(() => undefined),
    });
    await subscription.close(0);
    await database.admin.query(
      `INSERT INTO sagaz_broker.message (queue, slot, lane, id, tenant, topic, key, type,
          source, time, content_type, headers, payload)
        SELECT g.id, n % 256, 0, 'm' || n, '', $1, n::text, 't', 's', '', '', '{}', ''
        FROM sagaz_broker.queue g, generate_series(1, 100500) AS n WHERE g.name = $1`,
      [topic],
    );
    const lag = await one.lag();
    expect(lag.find(({ group }) => group === topic)?.messages).toBe(100_000);
  });
});
