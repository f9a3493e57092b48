import { outboxMessage } from '@sagaz/core/testing';
import { describeEachPostgres } from '@sagaz/test-support';
import {
  placeOfKey,
  type OutboxMessage,
  type ReadResult,
  type SlotChangeOutcome,
  type SlotLease,
} from '@sagaz/core';
import pg from 'pg';
import { afterAll, beforeAll, beforeEach, expect, it } from 'vitest';
import { LANES } from '../slots/index.js';
import { OutboxDatabase } from './outbox.fixture.js';

const ALL_SLOTS = Array.from({ length: 256 }, (_, slot) => ({ slot, floor: '0' }));

describeEachPostgres('the outbox in PostgreSQL', (server) => {
  let database: OutboxDatabase;
  let one: ReturnType<OutboxDatabase['process']>;
  beforeAll(async () => {
    database = await OutboxDatabase.create(server);
    one = database.process(10);
  });
  beforeEach(() => database.empty());
  afterAll(() => database.drop());

  function readAll(limit = 1_000): Promise<ReadResult> {
    const bytes = 64 * 1_024 * 1_024;
    return one.outbox.read({ windows: ALL_SLOTS, inFlight: [], perSlot: limit, limit, bytes });
  }

  async function client(): Promise<pg.Client> {
    const made = new pg.Client({ connectionString: database.url });
    made.on('error', () => undefined);
    await made.connect();
    return made;
  }

  /**
   * Rows as producers write them, without the round trips. No statement writes more than 10,000, so that
   * a busy machine writes them within the time limit of a statement.
   */
  async function fill(rows: number, status: 'pending' | 'held', key: string): Promise<void> {
    for (let from = 1; from <= rows; from += 10_000) {
      await one.pool.query({
        text: `INSERT INTO sagaz.message (queue, slot, lane, id, tenant, topic, key, type, source, time, content_type, headers, payload)
          SELECT 1, i % 256, $3::int, 'id-' || i, '', 'orders', $4 || i, 'orders.placed', 's', 'now', 'application/json', '{}', convert_to(rpad('x', 300), 'UTF8')
          FROM generate_series($1::int, $2::int) AS i`,
        values: [from, Math.min(rows, from + 9_999), LANES[status], key],
      });
    }
  }

  /** Unlike deleted rows, which a read still comes across until they are vacuumed, it leaves nothing. */
  async function truncate(): Promise<void> {
    await one.pool.query({ text: 'TRUNCATE sagaz.message' });
  }

  /**
   * How many pages a read of every slot looks at. It is the second of two on one connection, because the
   * first may have to plan anew, for instance after an ANALYZE by the server itself, and read the catalog.
   */
  async function pagesRead(): Promise<number> {
    const pooled = await one.pool.connect();
    const read = async (): Promise<number> => {
      const { rows } = await pooled.query<{ 'QUERY PLAN': [{ Plan: Record<string, number> }] }>({
        text: `EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON)
          SELECT * FROM sagaz.message_read(1, $1, $2, '{}', 125, 1000, 67108864)`,
        values: [ALL_SLOTS.map((w) => w.slot), ALL_SLOTS.map((w) => w.floor)],
      });
      const plan = rows[0]?.['QUERY PLAN'][0].Plan ?? {};
      return (plan['Shared Hit Blocks'] ?? 0) + (plan['Shared Read Blocks'] ?? 0);
    };
    try {
      await read();
      return await read();
    } finally {
      pooled.release();
    }
  }

  it('reads past a hundred thousand messages set aside as if they were not there', async () => {
    await truncate();
    // The plan is made now, on an empty table, and kept.
    await pagesRead();
    await fill(100_000, 'held', 'blocked-');
    await fill(1_000, 'pending', 'free-');
    // At most one page for each of the thousand rows, and two or three of the index for each slot.
    expect(await pagesRead()).toBeLessThan(2_000);
    const { rows } = await readAll();
    expect(rows).toHaveLength(1_000);
  });

  it('walks the index whatever its statistics say', async () => {
    await truncate();
    // Of the time when the table was empty; of now, when a slot holds little more than is asked for
    // and collecting it whole to sort it looks cheap.
    await one.pool.query({ text: 'ANALYZE sagaz.message' });
    await fill(100_000, 'pending', 'k-');
    expect(await pagesRead()).toBeLessThan(1_500);
    await one.pool.query({ text: 'ANALYZE sagaz.message' });
    expect(await pagesRead()).toBeLessThan(1_500);
  });

  interface Underway {
    readonly owner: string;
    readonly successor: string;
    readonly lease: SlotLease;
    readonly seq: string;
    /** The change that waits. It is made again by `again`. */
    readonly changing: Promise<readonly SlotChangeOutcome[]>;
    readonly again: () => Promise<readonly SlotChangeOutcome[]>;
    /** Lets the change go on. */
    readonly goOn: () => Promise<unknown>;
  }

  /** Does work while a change of the owner of all slots is under way, which holds its lease. */
  async function duringChange(work: (underway: Underway) => Promise<void>): Promise<void> {
    const [owner, successor] = ['the owner', 'the successor'];
    await one.outbox.append([outboxMessage('k', 1)]);
    await one.outbox.join(owner, 60_000);
    const all = await one.outbox.acquire(owner, 60_000, 256);
    const [row] = (await readAll()).rows;
    const lease = all.find(({ slot }) => slot === row?.slot);
    if (row === undefined || lease === undefined) throw new Error('the message is missing');
    const blocker = await client();
    // A change waits for no row, so a trigger makes it wait.
    await blocker.query(`CREATE FUNCTION wait() RETURNS trigger LANGUAGE plpgsql AS
        'BEGIN PERFORM pg_advisory_xact_lock(1); RETURN NEW; END';
      CREATE TRIGGER wait BEFORE UPDATE ON sagaz.message FOR EACH ROW EXECUTE FUNCTION wait()`);
    try {
      await blocker.query('BEGIN');
      await blocker.query('SELECT pg_advisory_xact_lock(1)');
      const place = { slot: row.slot, seq: row.seq };
      const change = { kind: 'retry', place, delayMs: 0, counts: true, error: 'e' } as const;
      const again = () => one.outbox.change(owner, [lease], [change]);
      const changing = again();
      await waitsForALock(changing);
      const goOn = () => blocker.query('COMMIT');
      await work({ owner, successor, lease, seq: row.seq, changing, again, goOn });
    } finally {
      await blocker.query('ROLLBACK');
      await blocker.query('DROP FUNCTION wait CASCADE');
      await blocker.end();
    }
  }

  it('lets nobody take a slot over while a change of its owner waits to land', async () => {
    await duringChange(async ({ successor, lease, changing, again, goOn }) => {
      await one.pool.query({ text: `UPDATE sagaz.slot_lease SET expires_at = '-infinity'` });
      const taken = await one.outbox.acquire(successor, 60_000, 256);
      await goOn();
      expect(await changing).toEqual(['changed']);
      expect(taken).toHaveLength(255);
      expect(taken.map(({ slot }) => slot)).not.toContain(lease.slot);
      expect(await one.outbox.acquire(successor, 60_000, 256)).toMatchObject([
        { slot: lease.slot },
      ]);
      expect(await again()).toEqual(['lost_lease']);
    });
  });

  it('renews its leases, and notes its suspects, while a change of its own takes long', async () => {
    await duringChange(async ({ owner, lease, seq, changing, goOn }) => {
      const { leases, busy } = await one.outbox.renew(owner, 60_000);
      expect({ leases: leases.length, busy }).toEqual({ leases: 256, busy: [] });
      expect(await one.outbox.noteSuspect(owner, lease, seq)).toBe(true);
      await goOn();
      expect(await changing).toEqual(['changed']);
    });
  });

  it('gives a slot back beside a change, and the next owner gets it after the change', async () => {
    await duringChange(async ({ owner, successor, lease, changing, again, goOn }) => {
      await one.outbox.release(owner, [lease.slot]);
      expect(await one.outbox.acquire(successor, 60_000, 256)).toEqual([]);
      await goOn();
      expect(await changing).toEqual(['changed']);
      expect(await one.outbox.acquire(successor, 60_000, 256)).toMatchObject([
        { slot: lease.slot, crashes: 0 },
      ]);
      expect(await again()).toEqual(['lost_lease']);
    });
  });

  it('writes twenty thousand keys in one transaction without using up the locks of everybody', async () => {
    const messages: OutboxMessage[] = [];
    for (let i = 0; i < 20_000; i += 1) messages.push(outboxMessage(`k${String(i)}`, 0));
    await one.transactions.run(async (transaction) => {
      await one.outbox.append(messages, transaction);
      const { rows } = await one.pool.query<{ locks: string }>({
        text: `SELECT count(*) AS locks FROM pg_locks WHERE locktype = 'advisory' AND database = (SELECT oid FROM pg_database WHERE datname = current_database())`,
      });
      expect(Number(rows[0]?.locks)).toBeLessThanOrEqual(256);
    });
    expect((await one.outbox.stats()).byStatus.get('pending')).toBe(20_000);
  });

  it('lets a writer of one key wait for one of very many keys that has it too', async () => {
    const many = Array.from({ length: 200 }, (_, i) => outboxMessage(`k${String(i)}`, 'first'));
    let second: Promise<void> | undefined;
    await one.transactions.run(async (transaction) => {
      await one.outbox.append(many, transaction);
      second = one.outbox.append([outboxMessage('k7', 'second')]);
      await waitsForALock(second);
    });
    await second;
    const { rows } = await readAll();
    const ofKey = rows.filter((row) => row.message.key === 'k7');
    expect(ofKey.map((row) => Buffer.from(row.message.payload).toString())).toEqual([
      'k7:first',
      'k7:second',
    ]);
  });

  it('checks deferred constraints before it takes a key, so that a commit never waits for another that waits for the key', async () => {
    await one.pool.query({
      text: `CREATE TABLE parent AS SELECT 1 AS id; ALTER TABLE parent ADD PRIMARY KEY (id);
        CREATE TABLE child (parent int REFERENCES parent DEFERRABLE INITIALLY DEFERRED)`,
    });
    const { outbox, transactions } = database.process();
    const [a, b] = [await client(), await client()];
    try {
      await a.query('BEGIN');
      await b.query('BEGIN');
      // A has the row that B's deferred check will want, and then wants the key that B has.
      await a.query('SELECT FROM parent WHERE id = 1 FOR UPDATE');
      await b.query('INSERT INTO child VALUES (1)');
      const bAppends = outbox.append([outboxMessage('k', 'b')], transactions.enlist(b));
      await waitsForALock(bAppends);
      await outbox.append([outboxMessage('k', 'a')], transactions.enlist(a));
      await a.query('COMMIT');
      await bAppends;
      await b.query('COMMIT');
    } finally {
      await a.end();
      await b.end();
    }
    const { rows } = await readAll();
    expect(rows.map((row) => Buffer.from(row.message.payload).toString())).toEqual(['k:a', 'k:b']);
  });

  it('assigns the transaction id before it draws a number, also for who inserts by hand', async () => {
    const a = await client();
    try {
      await a.query('BEGIN');
      await a.query(
        `SELECT CASE WHEN pg_current_xact_id() IS NOT NULL THEN nextval('sagaz.message_seq') END`,
      );
      const { rows } = await a.query<{ xid: string | null }>(
        'SELECT pg_current_xact_id_if_assigned()::text AS xid',
      );
      expect(rows[0]?.xid).not.toBeNull();
      const { rows: defaults } = await a.query<{ expression: string }>(
        `SELECT pg_get_expr(adbin, adrelid) AS expression FROM pg_attrdef
         WHERE adrelid = 'sagaz.message'::regclass AND pg_get_expr(adbin, adrelid) LIKE '%nextval%'`,
      );
      expect(defaults[0]?.expression).toMatch(/pg_current_xact_id\(\) IS NOT NULL.*THEN nextval/s);
      await a.query('ROLLBACK');
    } finally {
      await a.end();
    }
  });

  it('hands out bytes that are not the text their type says, and everything beside them', async () => {
    const bent = Uint8Array.from([0x22, 0xff, 0x00, 0x22]);
    await one.outbox.append([
      outboxMessage('a', 1),
      outboxMessage('b', 1, { payload: bent, contentType: 'application/json' }),
    ]);
    for (let i = 0; i < 2; i += 1) {
      const { rows } = await readAll();
      const payloads = rows.map((row) => [...row.message.payload]);
      expect(payloads).toContainEqual([...bent]);
      expect(payloads).toHaveLength(2);
    }
    const { rows } = await one.pool.query<{ payload: string }>({
      text: `SELECT payload FROM sagaz.message_readable WHERE key = 'b'`,
    });
    expect(rows[0]?.payload).toBe('\\x22ff0022');
  });

  it('refuses a key that no index could hold when it is written', async () => {
    const long = outboxMessage('k'.repeat(3_000), 1);
    await expect(one.outbox.append([long])).rejects.toMatchObject({ code: 'SAGAZ_KEY_TOO_LONG' });
  });

  it('writes in transactions of any isolation', async () => {
    for (const level of ['REPEATABLE READ', 'SERIALIZABLE']) {
      const a = await client();
      await a.query(`BEGIN ISOLATION LEVEL ${level}`);
      await a.query('SELECT 1');
      await one.outbox.append([outboxMessage('k', level)], one.transactions.enlist(a));
      await a.query('COMMIT');
      await a.end();
    }
    expect((await readAll()).rows).toHaveLength(2);
  });

  it('writes rows of a slot where the producers of any version put the key', async () => {
    await one.outbox.append([outboxMessage('k', 1)]);
    const { rows } = await readAll();
    const { tenant, topic, key } = rows[0]?.message ?? { tenant: '?', topic: '?', key: '?' };
    expect(rows[0]?.slot).toBe(placeOfKey(tenant, topic, key).slot);
  });

  /** Resolves once somebody waits for a lock; fails where what should wait has ended instead. */
  async function waitsForALock(waiting: Promise<unknown>): Promise<void> {
    const ended = waiting.then(() => {
      throw new Error('It did not wait for a lock.');
    });
    const looked = async (): Promise<boolean> => {
      const { rows } = await one.pool.query<{ waits: boolean }>({
        text: `SELECT EXISTS (SELECT FROM pg_stat_activity
          WHERE datname = current_database() AND wait_event_type = 'Lock') AS waits`,
      });
      return rows[0]?.waits === true;
    };
    while (!(await Promise.race([ended, looked()])));
  }
});
