import { newId, type OutboxMessage } from '@sagaz/core';
import { describeEachPostgres } from '@sagaz/test-support';
import pg from 'pg';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { OutboxDatabase, pass } from './outbox.fixture.js';

const delayed = (key: string): OutboxMessage => ({
  id: newId(),
  tenant: '',
  topic: 't',
  key,
  type: 't.a',
  source: 's',
  time: '2026-01-01T00:00:00.000Z',
  contentType: 'application/json',
  payload: Buffer.from('{}'),
  headers: {},
  ordered: true,
  delayMs: 1,
});

describeEachPostgres('a delayed message whose time has come', (server) => {
  let database: OutboxDatabase;
  beforeAll(async () => {
    database = await OutboxDatabase.create(server);
  });
  afterAll(() => database.drop());

  it('waits alone for a transaction that holds its key, and all others take their places', async () => {
    const { outbox, transactions, pool } = database.process();
    const held = Array.from({ length: 80 }, () => newId());
    const free = Array.from({ length: 150 }, () => newId());
    // The held ones are due first, and are more than one transaction looks at.
    await outbox.append(held.flatMap((key) => [delayed(key), delayed(key)]));
    await pass(5);
    await outbox.append(free.map(delayed));
    await pass(5);
    const client = new pg.Client({ connectionString: database.url });
    await client.connect();
    await client.query('BEGIN');
    for (const key of held) {
      await outbox.append([{ ...delayed(key), delayMs: 0 }], transactions.enlist(client));
    }
    expect(await outbox.promote(1_000)).toBe(free.length);
    expect(await outbox.promote(1_000)).toBe(0);
    await client.query('COMMIT');
    await client.end();
    expect(await outbox.promote(1_000)).toBe(2 * held.length);
    const { rows } = await pool.query({
      text: `SELECT sagaz.lane_status(lane) AS status, count(*) AS n FROM sagaz.message GROUP BY lane`,
    });
    expect(rows).toEqual([{ status: 'pending', n: '390' }]);
  });

  it('ends the holds of optimistic messages beside one that another session has locked', async () => {
    await database.empty();
    const { outbox, pool } = database.process();
    await outbox.append(['a', 'b', 'c'].map((key) => ({ ...delayed(key), delayMs: 0 })));
    await pool.query({
      text: `UPDATE sagaz.message SET lane = 3, due_at = clock_timestamp()`,
    });
    const client = new pg.Client({ connectionString: database.url });
    await client.connect();
    await client.query('BEGIN');
    await client.query(`SELECT FROM sagaz.message WHERE key = 'b' FOR UPDATE`);
    try {
      expect(await outbox.promote(1_000)).toBe(2);
      expect(await outbox.promote(1_000)).toBe(0);
    } finally {
      await client.query('COMMIT');
      await client.end();
    }
    expect(await outbox.promote(1_000)).toBe(1);
    const { rows } = await pool.query<{ raised: string }>({
      text: 'SELECT count(*) AS raised FROM sagaz.slot_lease WHERE version > 0',
    });
    expect(rows).toEqual([{ raised: '3' }]);
  });
});
