import { randomUUID } from 'node:crypto';
import { createDatabase, describeEachPostgres, type TestDatabase } from '@sagaz/test-support';
import pg from 'pg';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { Ledger } from './src/soak/books.js';
import { createTables } from './src/soak/create-tables.js';
import { SCHEMAS } from './src/soak/tables.js';

describeEachPostgres('the books of the soak', (server) => {
  let store: TestDatabase;
  let broker: TestDatabase;
  let ledger: Ledger;
  let client: pg.Client;

  beforeEach(async () => {
    [store, broker] = [await createDatabase(server), await createDatabase(server)];
    await createTables(store.url, broker.url);
    ledger = new Ledger(store.url, broker.url);
    client = new pg.Client({ connectionString: store.url });
    await client.connect();
  });

  afterEach(async () => {
    await Promise.all([ledger.close(), client.end()]);
    await Promise.all([store.drop(), broker.drop()]);
  });

  const ids = new Map<number, string>();
  const idOf = (n: number): string => {
    const id = ids.get(n) ?? randomUUID();
    ids.set(n, id);
    return id;
  };
  const deliver = (n: number, on: { query: pg.Client['query'] } = client): Promise<unknown> =>
    on.query(
      `INSERT INTO app.delivery (message_id, topic, key, n, process, pid, attempt, after_death, began_at)
        VALUES ($1, 'note', 'k1', $2, 'consumer-2', 7, 1, false, now())`,
      [idOf(n), n],
    );
  const published = async (...numbers: number[]): Promise<void> => {
    for (const n of numbers) {
      await client.query(`INSERT INTO app.published VALUES ($1, 'k1', $2)`, [idOf(n), n]);
    }
  };

  it('are right where messages came in order, and came again at any time after that', async () => {
    await published(1, 2, 3);
    for (const n of [1, 2, 1, 3, 2, 1]) await deliver(n);
    const { findings, examples } = await ledger.audit(new Set());
    expect(Object.values(findings).every((count) => count === 0)).toBe(true);
    expect(examples).toEqual({});
  });

  it('are right where the first handling of a message ended after a later message was handled by another process', async () => {
    await published(1, 2);
    const slow = new pg.Client({ connectionString: store.url });
    await slow.connect();
    try {
      await slow.query('BEGIN');
      await deliver(1, slow);
      await deliver(1);
      await deliver(2);
      await slow.query('COMMIT');
    } finally {
      await slow.end();
    }
    expect((await ledger.audit(new Set())).findings.outOfOrder).toBe(0);
  });

  it('name every message that was overtaken, by which, and all that is known of both', async () => {
    await published(1, 2, 3);
    await client.query(
      `INSERT INTO ${SCHEMAS.orders}.message (queue, slot, id, tenant, topic, key, type, source, time, content_type, headers, payload)
        VALUES (1, 3, $1, '', 'note', 'k1', 'note.taken', 'orders', '', 'text/plain', '{}', '')`,
      [idOf(1)],
    );
    await client.query(
      `UPDATE ${SCHEMAS.orders}.slot_lease SET owner = 'a', epoch = 2 WHERE slot = 3`,
    );
    await client.query(`DELETE FROM ${SCHEMAS.orders}.message`);
    for (const n of [3, 1, 2, 3, 1]) await deliver(n);
    const { findings, examples } = await ledger.audit(new Set());
    expect(findings.outOfOrder).toBe(2);
    expect(examples.outOfOrder).toMatchObject([
      {
        topic: 'note',
        key: 'k1',
        n: 1,
        message_id: idOf(1),
        overtaken_by_n: 3,
        overtaken_by: idOf(3),
        deliveries: [{ n: 3, process: 'consumer-2', attempt: 1 }, { n: 1 }, { n: 3 }, { n: 1 }],
        outbox: {
          messages: [
            { what: 'INSERT', slot: 3, status: 'pending' },
            { what: 'DELETE', slot: 3 },
          ],
          leases: [{ queue: 'outbox:default', slot: 3, owner: 'a', epoch: '2' }],
        },
        broker: { messages: [], leases: [] },
      },
      { n: 2, overtaken_by_n: 3 },
    ]);
  });

  it('count every row that breaks a rule and show some of them', async () => {
    const started = new Set(Array.from({ length: 9 }, (_, at) => `good-${at}`));
    const { findings, examples } = await ledger.audit(started);
    expect(findings.lostSagas).toBe(9);
    expect(examples.lostSagas).toHaveLength(5);
  });

  it('tell how long the oldest message of each queue has been there', async () => {
    const columns =
      'queue, slot, id, tenant, topic, key, type, source, time, content_type, headers, payload';
    const insert = `INSERT INTO ${SCHEMAS.stock}.message (created_at, ${columns})
      VALUES (clock_timestamp() - $2 * interval '1 second', 1, 3, $1, '', 'stock', 'k', 'stock.reserve', 'orders', '', 'text/plain', '{}', '')`;
    await client.query(insert, ['older', 1_000]);
    await client.query(insert, ['newer', 10]);
    const waits = await ledger.oldestMessages();
    expect(waits).toMatchObject([
      { queue: 'outbox of sagaz_stock', row: { id: 'older', lease: { owner: null, epoch: 0 } } },
    ]);
    expect(await ledger.someMessagesLeft()).toMatchObject([{ id: 'older' }, { id: 'newer' }]);
    expect(Math.floor((waits[0]?.seconds ?? 0) / 1_000)).toBe(1);
  });
});
