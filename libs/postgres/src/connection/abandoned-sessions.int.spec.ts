import { CommitUnknownError } from '@sagaz/core';
import { createDatabase, postgresServers, type TestDatabase } from '@sagaz/test-support';
import pg from 'pg';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { NoAnswerError } from './connection.errors.js';
import { PgTransactions } from './pg-transaction.js';
import { SagazPool } from './sagaz-pool.js';

const server = postgresServers()[0]!;
const logger = { debug() {}, info() {}, warn() {}, error() {} };
const STORE = 'a store';

interface Session {
  readonly pid: number;
}

describe('a session that is ended because its transaction does not end', () => {
  let db: TestDatabase;
  let pool: SagazPool;
  let transactions: PgTransactions;
  /** The pool of the application, in which one connection has room. */
  let application: pg.Pool;

  beforeEach(async () => {
    db = await createDatabase(server);
    pool = new SagazPool({
      source: { kind: 'url', url: db.url },
      applicationName: 'spec',
      connectTimeoutMs: 5_000,
      statementTimeoutMs: 5_000,
      max: 2,
      logger,
    });
    transactions = new PgTransactions(STORE, pool);
    application = new pg.Pool({ connectionString: db.url, max: 1 });
    application.on('error', () => undefined);
    await application.query('CREATE TABLE item (id int PRIMARY KEY)');
    await application.query('INSERT INTO item VALUES (1)');
  });
  afterEach(async () => {
    await application.end();
    await pool.end();
    await db.drop();
  });

  const pidOf = async (client: pg.ClientBase | pg.Pool): Promise<number> => {
    const { rows } = await client.query<Session>('SELECT pg_backend_pid() AS pid');
    return rows[0]?.pid ?? 0;
  };
  const lives = async (pid: number): Promise<boolean> => {
    const text = 'SELECT FROM pg_stat_activity WHERE pid = $1';
    return (await pool.query({ text, values: [pid] })).rows.length > 0;
  };
  /** Takes all connections by which the server could be asked to terminate a session. */
  const full = async (): Promise<() => void> => {
    const clients = [await pool.connect(), await pool.connect()];
    return () => {
      for (const client of clients) client.release();
    };
  };

  it.each(['rollback', 'commit'] as const)(
    'is not given to the next user of its pool by a %s that comes at the same time',
    async (ending) => {
      const client = await application.connect();
      const old = await pidOf(client);
      await client.query('BEGIN');
      const free = await full();
      transactions.abandon(transactions.enlist(client));
      await expect(
        transactions.control(client, ending, () => client.query(ending)),
      ).rejects.toThrow(/Connection terminated|not queryable/);
      client.release();
      free();
      const next = await application.connect();
      expect(await pidOf(next)).not.toBe(old);
      await expect.poll(() => lives(old)).toBe(false);
      expect((await next.query('SELECT 1 AS one')).rows).toEqual([{ one: 1 }]);
      next.release();
    },
  );

  it("is not given to the next user of Sagaz's own pool", async () => {
    const abandoned = new Error('abandoned');
    let old = 0;
    await expect(
      transactions.run(async (transaction) => {
        const { rows } = await transaction.query<Session>({
          text: 'SELECT pg_backend_pid() AS pid',
        });
        old = rows[0]?.pid ?? 0;
        const other = await pool.connect();
        transactions.abandon(transaction);
        // The server is asked in this moment, and cannot have answered.
        setImmediate(() => other.release());
        throw abandoned;
      }),
    ).rejects.toBe(abandoned);
    await expect.poll(() => lives(old)).toBe(false);
    const clients = [await pool.connect(), await pool.connect()];
    for (const client of clients) {
      const { rows } = await client.query<Session>({ text: 'SELECT pg_backend_pid() AS pid' });
      expect(rows[0]?.pid).not.toBe(old);
      client.release();
    }
  });

  it('leaves its commit unknown in a transaction of the store, and commits nothing after that', async () => {
    const running = transactions.run(async (transaction) => {
      await transaction.query({ text: 'INSERT INTO item VALUES (2)' });
      transactions.abandon(transaction);
      await expect
        .poll(() => transaction.query({ text: 'SELECT 1' }).catch(() => 'lost'))
        .toBe('lost');
    });
    await expect(running).rejects.toBeInstanceOf(CommitUnknownError);
    expect((await application.query('SELECT id FROM item')).rows).toEqual([{ id: 1 }]);
  });

  it('is ended at the server although idle connections of the pool are given up at the same time', async () => {
    const idle = [await pool.connect(), await pool.connect()];
    for (const client of idle) {
      await client.query({ text: 'SELECT' });
      client.release();
    }
    const client = await application.connect();
    const old = await pidOf(client);
    await client.query('BEGIN');
    const sleeps = client.query('SELECT pg_sleep(60)').catch(() => undefined);
    await expect(
      transactions.control(client, 'begin', () => client.query('SAVEPOINT s')),
    ).rejects.toBeInstanceOf(NoAnswerError);
    await sleeps;
    client.release();
    expect(await lives(old)).toBe(false);
  });

  it('releases its locks after a ROLLBACK that was not answered, although it works on a statement', async () => {
    const holder = new pg.Client({ connectionString: db.url });
    await holder.connect();
    await holder.query('BEGIN');
    await holder.query('SELECT FROM item WHERE id = 1 FOR UPDATE');
    const client = await application.connect();
    const old = await pidOf(client);
    await client.query('BEGIN');
    await client.query('INSERT INTO item VALUES (3)');
    const waits = client.query('UPDATE item SET id = 4 WHERE id = 1').catch(() => undefined);
    await expect(
      transactions.control(client, 'rollback', async () => {
        await waits;
        await client.query('ROLLBACK');
      }),
    ).rejects.toBeInstanceOf(NoAnswerError);
    client.release();
    expect(await lives(old)).toBe(false);
    // Nobody holds the key any more.
    await application.query('INSERT INTO item VALUES (3)');
    await holder.end();
  }, 20_000);

  it('does not commit later if it still waited for a lock before its COMMIT', async () => {
    const holder = new pg.Client({ connectionString: db.url });
    await holder.connect();
    await holder.query('BEGIN');
    await holder.query('SELECT FROM item WHERE id = 1 FOR UPDATE');
    const client = await application.connect();
    const old = await pidOf(client);
    const start = (): Promise<unknown> => client.query('START TRANSACTION');
    await transactions.control(client, 'begin', start);
    await client.query('INSERT INTO item VALUES (3)');
    const text = 'UPDATE item SET id = 4 WHERE id = 1';
    await transactions.enlist(client).queryAtCommit({ text, limitMs: 100 });
    await expect(
      transactions.control(client, 'commit', () => client.query('COMMIT')),
    ).rejects.toBeInstanceOf(CommitUnknownError);
    client.release();
    expect(await lives(old)).toBe(false);
    await holder.query('COMMIT');
    await holder.end();
    const { rows } = await application.query('SELECT id FROM item');
    expect(rows).toEqual([{ id: 1 }]);
  }, 40_000);
});
