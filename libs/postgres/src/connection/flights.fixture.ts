import { TransactionAbortedError } from '@sagaz/core';
import type { CountingProxy } from '@sagaz/test-support';
import type pg from 'pg';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { FlightBench, INSERT, type Application, type FlightWorld } from './flight-bench.fixture.js';
import { Prepared } from './prepared.js';

const INSERT_SLOWLY = new Prepared(
  'INSERT INTO item (id, n) SELECT $1, $2 WHERE pg_advisory_xact_lock(4711) IS NOT NULL',
);
const LATE = new Prepared('INSERT INTO late (id) VALUES ($1)');

/** The outcomes of several statements with one Sync when something goes wrong, for each version of pg. */
export function flightCases(open: () => Promise<FlightWorld>, pooled = false): void {
  let bench: FlightBench;
  let proxy: CountingProxy;
  let app: Application;
  let other: pg.Client;

  beforeEach(async () => {
    bench = await FlightBench.open(await open());
    ({ proxy } = bench);
    other = await bench.observer();
    app = await bench.application();
  });
  afterEach(() => bench.close());

  async function items(): Promise<number[]> {
    const { rows } = await other.query<{ id: number }>('SELECT id FROM item ORDER BY id');
    return rows.map(({ id }) => id);
  }
  const errorOf = (work: Promise<unknown>): Promise<unknown> =>
    work.then(
      () => 'it was carried out',
      (error: unknown) => error,
    );
  /** The next transaction of the connection works, in as few round trips as the first. */
  async function expectReusable(): Promise<void> {
    const roundTrips = await proxy.during(async () => {
      await app.begin();
      await app.insert(100);
      await app.insertAtCommit(101);
      await app.commit();
    });
    expect(roundTrips).toBe(2);
    expect(await items()).toEqual([100, 101]);
  }

  it('opens a transaction with its first statement, and commits with its last one', async () => {
    const roundTrips = await proxy.during(async () => {
      await app.begin();
      await app.insert(1);
      await app.insertAtCommit(2);
      await app.insertAtCommit(3);
      expect(await items()).toEqual([]);
      expect(await app.commit()).toMatchObject({ command: 'COMMIT', rows: [] });
    });
    expect(roundTrips).toBe(2);
    expect(await items()).toEqual([1, 2, 3]);
  });

  it('needs one round trip for a transaction with nothing else in it', async () => {
    const roundTrips = await proxy.during(async () => {
      await app.begin();
      await app.insertAtCommit(1);
      await app.commit();
      await app.begin();
      await app.commit();
      await app.begin();
      await app.rollBack();
    });
    expect(roundTrips).toBe(3);
    expect(await items()).toEqual([1]);
  });

  it('gives the first statement its rows, its fields and its error as they are', async () => {
    await app.begin();
    const { rows, rowCount, fields } = await app.client.query('SELECT $1::int AS one', [1]);
    expect({ rows, rowCount, names: fields.map(({ name }) => name) }).toEqual({
      rows: [{ one: 1 }],
      rowCount: 1,
      names: ['one'],
    });
    await app.commit();
    await app.begin();
    const error = await errorOf(app.client.query('SELECT 1 FROM nowhere'));
    expect(error).toMatchObject({ code: '42P01', position: '15' });
    await app.rollBack();
    await expectReusable();
  });

  it('opens a transaction with the isolation level that is set first', async () => {
    const roundTrips = await proxy.during(async () => {
      await app.begin('SERIALIZABLE');
      const { rows } = await app.client.query('SHOW transaction_isolation');
      expect(rows).toEqual([{ transaction_isolation: 'serializable' }]);
      await app.commit();
    });
    expect(roundTrips).toBe(2);
  });

  it('opens a transaction with a savepoint', async () => {
    await app.begin();
    await app.client.query('SAVEPOINT typeorm_1');
    await app.insert(1);
    await app.client.query('ROLLBACK TO SAVEPOINT typeorm_1');
    await app.insert(2);
    await app.commit();
    expect(await items()).toEqual([2]);
  });

  it.each([
    ['several statements in one text', 'INSERT INTO item VALUES (1, 1); SELECT 2 AS two'],
    ['one that copies', 'COPY (SELECT 1) TO STDOUT'],
  ])('opens a transaction before %s', async (_, text) => {
    await app.begin();
    await app.client.query(text);
    await app.rollBack();
    expect(await items()).toEqual([]);
    await expectReusable();
  });

  it('opens a transaction before a query with a callback, and one that the driver is given', async () => {
    for (const run of [
      () =>
        new Promise<unknown>((resolve, reject) => {
          app.client.query('INSERT INTO item VALUES (1, 1)', (error: Error | null) => {
            if (error === null) resolve(null);
            else reject(error);
          });
        }),
      () =>
        app.client.query({
          text: 'INSERT INTO item VALUES ($1, 1)',
          values: [2],
          rowMode: 'array',
        }),
    ]) {
      await app.begin();
      await run();
      await app.rollBack();
    }
    expect(await items()).toEqual([]);
    await expectReusable();
  });

  it('says that a transaction is open before it is', async () => {
    const status = (): unknown => {
      const method: unknown = Reflect.get(app.client, 'getTransactionStatus');
      return typeof method === 'function' ? Reflect.apply(method, app.client, []) : undefined;
    };
    if (status() === undefined) return;
    await app.begin();
    expect(status()).toBe('T');
    await app.insert(1);
    expect(status()).toBe('T');
    await app.rollBack();
    expect(status()).toBe('I');
  });

  it('sends what waits for COMMIT together with another statement that comes before', async () => {
    const roundTrips = await proxy.during(async () => {
      await app.begin();
      await app.insert(1);
      await app.insertAtCommit(2);
      const { rows } = await app.client.query('SELECT count(*)::int AS n FROM item');
      expect(rows).toEqual([{ n: 2 }]);
      await app.commit();
    });
    expect(roundTrips).toBe(3);
    expect(await items()).toEqual([1, 2]);
  });

  it('drops what waits for COMMIT at a rollback', async () => {
    const roundTrips = await proxy.during(async () => {
      await app.begin();
      await app.insert(1);
      await app.insertAtCommit(2);
      await app.rollBack();
      await app.begin();
      await app.insertAtCommit(3);
      await app.client.query('rollback;');
    });
    expect(roundTrips).toBe(3);
    expect(await items()).toEqual([]);
    await expectReusable();
  });

  it.each([
    ['a check', 2, 0, '23514'],
    ['a unique constraint', 1, 1, '23505'],
    ['a value that is no number', 2, 'x', '22P02'],
  ])('commits nothing if %s refuses the last statement', async (_, id, n, code) => {
    for (const first of [true, false]) {
      await app.begin();
      if (first) await app.insert(1);
      else await other.query('INSERT INTO item VALUES (1, 1) ON CONFLICT DO NOTHING');
      await app.insertAtCommit(id, n);
      expect(await errorOf(app.commit())).toMatchObject({ code });
      await app.rollBack();
    }
    expect(await items()).toEqual([1]);
    await other.query('DELETE FROM item');
    await expectReusable();
  });

  it('prepares a statement again whose text the server did not understand', async () => {
    for (const table of [false, true]) {
      if (table) await other.query('CREATE TABLE late (id int)');
      await app.begin();
      await app.insert(table ? 1 : 2);
      await app.transaction.queryAtCommit(LATE.with([1]));
      const error = await errorOf(app.commit());
      expect(error).toMatchObject(
        table ? {} : { code: 'SAGAZ_STORE_REFUSED', cause: { code: '42P01' } },
      );
      if (!table) await app.rollBack();
    }
    expect(await items()).toEqual([1]);
    expect((await other.query('SELECT FROM late')).rowCount).toBe(1);
  });

  it('sends nothing if pg cannot encode a value of the last statement', async () => {
    const circular: Record<string, unknown> = {};
    circular['itself'] = circular;
    await app.begin();
    await app.insert(1);
    await app.insertAtCommit(2, circular);
    const roundTrips = await proxy.during(async () => {
      expect(String(await errorOf(app.commit()))).toMatch(/circular/i);
    });
    expect(roundTrips).toBe(0);
    await app.rollBack();
    expect(await items()).toEqual([]);
    await expectReusable();
  });

  it('opens the transaction also if pg cannot encode a value of the first statement', async () => {
    const circular: Record<string, unknown> = {};
    circular['itself'] = circular;
    await app.begin();
    const [refused] = await Promise.allSettled([
      app.client.query('SELECT $1::text', [circular]),
      app.insert(1),
    ]);
    expect(refused).toMatchObject({ status: 'rejected' });
    await app.rollBack();
    expect(await items()).toEqual([]);
    await expectReusable();
  });

  it('tells an error of COMMIT itself', async () => {
    await other.query('ALTER TABLE item ADD UNIQUE (n) DEFERRABLE INITIALLY DEFERRED');
    await app.begin();
    await app.insert(1);
    await app.insertAtCommit(2, 1);
    expect(await errorOf(app.commit())).toMatchObject({ code: '23505' });
    await app.rollBack();
    expect(await items()).toEqual([]);
  });

  it('commits nothing after an error that was swallowed', async () => {
    await app.begin();
    await app.insert(1);
    const { transaction } = app;
    await app.client.query('SELECT 1/0').catch(() => undefined);
    await transaction.queryAtCommit(INSERT.with([2, 1]));
    expect(await errorOf(app.commit())).toBeInstanceOf(TransactionAbortedError);
    await app.rollBack();
    expect(await items()).toEqual([]);
    await expectReusable();
  });

  it('gives its error to the statement that was sent with it', async () => {
    await app.begin();
    await app.insert(1);
    await app.insertAtCommit(2, 0);
    expect(await errorOf(app.client.query('SELECT 1'))).toMatchObject({ code: '23514' });
    await expect(app.commit()).resolves.toMatchObject({ command: 'ROLLBACK' });
    expect(await items()).toEqual([]);
    await expectReusable();
  });

  it.each(['lock_timeout', 'statement_timeout'])(
    'commits nothing if the last statement waits for longer than %s',
    async (limit) => {
      await other.query('SELECT pg_advisory_lock(4711)');
      await app.begin();
      await app.client.query(`SET LOCAL ${limit} = 50`);
      await app.transaction.queryAtCommit(INSERT_SLOWLY.with([1, 1]));
      const code = limit === 'lock_timeout' ? '55P03' : '57014';
      expect(await errorOf(app.commit())).toMatchObject({ code });
      await app.rollBack();
      await other.query('SELECT pg_advisory_unlock(4711)');
      await expectReusable();
    },
  );

  /** Commits while somebody else holds the lock that the last statement waits for. */
  async function commitWaits(): Promise<{ readonly committing: Promise<unknown> }> {
    await other.query('SELECT pg_advisory_lock(4711)');
    await app.begin();
    await app.insert(1);
    await app.transaction.queryAtCommit(INSERT_SLOWLY.with([2, 1]));
    const committing = errorOf(app.commit());
    await expect.poll(() => waiting()).toHaveLength(1);
    return { committing };
  }
  async function waiting(): Promise<number[]> {
    const { rows } = await other.query<{ pid: number }>(
      `SELECT pid FROM pg_stat_activity
       WHERE datname = current_database() AND wait_event_type = 'Lock'`,
    );
    return rows.map(({ pid }) => pid);
  }

  it('knows that nothing was committed if the server ends the connection before COMMIT', async () => {
    const { committing } = await commitWaits();
    await other.query('SELECT pg_terminate_backend($1)', await waiting());
    const error = await committing;
    // A pooler may tell in its own words that its server is gone.
    if (pooled) expect(error).toBeInstanceOf(Error);
    else expect(error).toMatchObject({ code: '57P01' });
    expect(await items()).toEqual([]);
  });

  it('does not know the outcome if the connection is lost meanwhile', async () => {
    const { committing } = await commitWaits();
    app.client.connection.stream.destroy();
    expect(await committing).toMatchObject({ message: /terminated|ended/ });
    await other.query('SELECT pg_advisory_unlock(4711)');
  });

  it('waits for each answer on a client in pipeline mode', async () => {
    app = await bench.application({ pipeline: true });
    await app.begin();
    await app.insert(1);
    await app.insertAtCommit(2);
    await app.commit();
    expect(await items()).toEqual([1, 2]);
  });
}
