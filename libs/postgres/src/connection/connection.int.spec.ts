import { epochMs } from './column-types.js';
import { CommitUnknownError } from '@sagaz/core';
import { createDatabase, describeEachPostgres, type TestDatabase } from '@sagaz/test-support';
import pg from 'pg';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { PgTransactions } from './pg-transaction.js';
import type { PoolSource } from './pool-source.js';
import { SagazClient } from './sagaz-client.js';
import { SagazPool } from './sagaz-pool.js';
import { checkServer } from './server-checks.js';
import { severableProxy } from './severable-proxy.fixture.js';

const settings = { applicationName: 'spec', connectTimeoutMs: 2_000, statementTimeoutMs: 5_000 };

describeEachPostgres('connections', (server) => {
  let db: TestDatabase;
  const pools: { end(): Promise<unknown> }[] = [];
  const warnings: string[] = [];
  const logger = {
    debug() {},
    info() {},
    warn: (text: string) => {
      warnings.push(text);
    },
    error() {},
  };
  const open = (source: PoolSource = { kind: 'url', url: db.url }, max = 4): SagazPool => {
    const pool = new SagazPool({ ...settings, source, max, logger });
    pools.push(pool);
    return pool;
  };

  beforeAll(async () => {
    db = await createDatabase(server);
    const pool = open();
    await pool.query({
      text: `CREATE TABLE item (id int PRIMARY KEY);
        CREATE TABLE part (item int REFERENCES item DEFERRABLE INITIALLY DEFERRED)`,
    });
  });
  afterAll(async () => {
    await Promise.all(pools.map((pool) => pool.end()));
    await db.drop();
  });
  async function itemExists(id: number): Promise<boolean> {
    const { rowCount } = await open().query({
      text: 'SELECT FROM item WHERE id = $1',
      values: [id],
    });
    return rowCount === 1;
  }

  it('open on the options of an application, with the password that they hide', async () => {
    const url = new URL(db.url);
    const application = new pg.Pool({
      host: url.hostname,
      port: Number(url.port),
      user: url.username,
      password: decodeURIComponent(url.password),
      database: url.pathname.slice(1),
      statement_timeout: 1,
      max: 1,
    });
    pools.push(application);
    expect(Object.keys(application.options)).not.toContain('password');
    const pool = open({ kind: 'application', options: application.options });
    const { rows } = await pool.query({
      text: "SELECT current_setting('application_name') AS name, current_setting('statement_timeout') AS t",
    });
    expect(rows).toEqual([{ name: 'spec', t: '5s' }]);
    expect(pool.max).toBe(4);
    const client = new SagazClient({ kind: 'application', options: application.options }, settings);
    pools.push(client);
    expect((await client.query({ text: 'SELECT 1 AS one' })).rows).toEqual([{ one: 1 }]);
  });

  it('read columns their own way, whatever the application made of the parsers of pg', async () => {
    const original = pg.types.getTypeParser(pg.types.builtins.INT8);
    pg.types.setTypeParser(pg.types.builtins.INT8, () => 'changed');
    try {
      const { rows } = await open().query({
        text: `SELECT 9007199254740993::int8 AS n, decode('00ff', 'hex') AS b,
          ${epochMs("'2026-01-02T03:04:05.678901Z'::timestamptz")} AS t`,
      });
      expect(rows).toEqual([
        {
          n: '9007199254740993',
          b: Buffer.from([0, 255]),
          t: 1_767_323_045_678.901,
        },
      ]);
    } finally {
      pg.types.setTypeParser(pg.types.builtins.INT8, original);
    }
  });

  it.each(['1.5::float8', 'clock_timestamp()', 'current_date', "interval '1 s'"])(
    'refuse to read %s, whose text depends on the session',
    async (expression) => {
      const reading = open().query({ text: `SELECT ${expression} AS it` });
      await expect(reading).rejects.toThrow(/depends on settings of the session/);
    },
  );

  it('never show the password, also not in the error of a server that is away', async () => {
    const pool = open({ kind: 'url', url: 'postgres://me:top-secret@127.0.0.1:1/shop' });
    const error: unknown = await pool
      .query({ text: 'SELECT 1' })
      .catch((reason: unknown) => reason);
    expect(error).toMatchObject({ code: 'SAGAZ_DATABASE_UNREACHABLE', place: '127.0.0.1:1/shop' });
    expect(String(error)).not.toContain('top-secret');
    expect(JSON.stringify(error)).not.toContain('top-secret');
  });

  it('do not pass the check of a database that cannot hold every character', async () => {
    const name = `${new URL(db.url).pathname.slice(1)}_ascii`;
    await open().query({
      text: `CREATE DATABASE "${name}" ENCODING 'SQL_ASCII' TEMPLATE template0 LOCALE 'C' LOCALE_PROVIDER 'libc'`,
    });
    const url = new URL(db.url);
    url.pathname = `/${name}`;
    const pool = open({ kind: 'url', url: url.href });
    await expect(checkServer(pool, logger)).rejects.toThrow(
      /holds text in SQL_ASCII[\s\S]*ENCODING 'UTF8'/,
    );
    await pool.end();
    await open().query({ text: `DROP DATABASE "${name}" WITH (FORCE)` });
  });

  it('pass the check of the server, which names what weakens the promises', async () => {
    warnings.length = 0;
    await checkServer(open(undefined, 100_000), logger);
    expect(warnings.join()).toMatch(/more connections than the server has/);
    await open().query({
      text: `ALTER DATABASE "${new URL(db.url).pathname.slice(1)}" SET synchronous_commit = off`,
    });
    await checkServer(open(), logger);
    expect(warnings.join()).toMatch(/synchronous_commit is off/);
    await open().query({
      text: `ALTER DATABASE "${new URL(db.url).pathname.slice(1)}" SET default_transaction_read_only = on`,
    });
    await expect(checkServer(open(), logger)).rejects.toMatchObject({
      code: 'SAGAZ_UNSUITABLE_SERVER',
    });
    const admin = open();
    await admin.query({ text: 'SELECT 1' });
    const client = await admin.connect();
    await client.query({
      text: `SET default_transaction_read_only = off`,
    });
    await client.query({
      text: `ALTER DATABASE "${new URL(db.url).pathname.slice(1)}" RESET ALL`,
    });
    client.release(true);
  });

  it('commit with proof: a swallowed failure of a statement is no commit', async () => {
    const transactions = new PgTransactions('postgres', open());
    const run = transactions.run(async (transaction) => {
      await transaction.query({ text: 'INSERT INTO item VALUES (1)' });
      await transaction.query({ text: 'INSERT INTO item VALUES (1)' }).catch(() => undefined);
    });
    await expect(run).rejects.toMatchObject({ code: 'SAGAZ_TRANSACTION_ABORTED' });
    expect(await itemExists(1)).toBe(false);
  });

  it('say which failure it was when a later statement meets the aborted transaction', async () => {
    const transactions = new PgTransactions('postgres', open());
    const run = transactions.run(async (transaction) => {
      await transaction.query({ text: 'SELECT 1/0' }).catch(() => undefined);
      await transaction.query({ text: 'SELECT 1' });
    });
    await expect(run).rejects.toMatchObject({ code: 'SAGAZ_TRANSACTION_ABORTED' });
  });

  it('take an error that answers COMMIT for what it is: rolled back', async () => {
    const transactions = new PgTransactions('postgres', open());
    const hints: string[] = [];
    const run = transactions.run(async (transaction) => {
      transaction.afterCommit(() => hints.push('committed'));
      await transaction.query({ text: 'INSERT INTO item VALUES (2)' });
      await transaction.query({ text: 'INSERT INTO part VALUES (999)' });
    });
    await expect(run).rejects.toMatchObject({ code: '23503' });
    expect(await itemExists(2)).toBe(false);
    expect(hints).toEqual([]);
  });

  it('do not know what became of a COMMIT whose connection died, and say so', async () => {
    const proxy = await severableProxy(db.url);
    const transactions = new PgTransactions('postgres', open({ kind: 'url', url: proxy.url }));
    const run = transactions.run(async (transaction) => {
      await transaction.query({ text: 'INSERT INTO item VALUES (3)' });
      // The server gets the COMMIT; its answer goes nowhere.
      proxy.severAfterNextRequest();
    });
    await expect(run).rejects.toBeInstanceOf(CommitUnknownError);
    await expect.poll(() => itemExists(3)).toBe(true);
    await proxy.close();
  });

  it('use READ COMMITTED even where the database has another default', async () => {
    const transactions = new PgTransactions(
      'postgres',
      open({
        kind: 'url',
        url: `${db.url}?options=-c%20default_transaction_isolation%3Dserializable`,
      }),
    );
    const isolation = await transactions.run(async (transaction) => {
      const { rows } = await transaction.query({
        text: "SELECT current_setting('transaction_isolation') AS level",
      });
      return rows[0];
    });
    expect(isolation).toEqual({ level: 'read committed' });
  });

  it('do without settings behind a pooler that refuses them, all at once and for good', async () => {
    const proxy = await severableProxy(db.url, { refusesSettings: true });
    warnings.length = 0;
    const pool = open({ kind: 'url', url: proxy.url });
    const answers = await Promise.all(
      Array.from({ length: 8 }, () => pool.query({ text: 'SELECT 1 AS one' })),
    );
    expect(answers.flatMap(({ rows }) => rows)).toEqual(Array(8).fill({ one: 1 }));
    expect(warnings).toHaveLength(1);
    const client = new SagazClient({ kind: 'url', url: proxy.url }, settings);
    expect((await client.query({ text: 'SELECT 1 AS one' })).rows).toEqual([{ one: 1 }]);
    await client.end();
    await pool.end();
    await proxy.close();
  });

  it('recognise a client with an open transaction, and nothing else', async () => {
    const transactions = new PgTransactions('postgres', open());
    const client = new pg.Client({ connectionString: db.url });
    await client.connect();
    pools.push(client);
    const pool = new pg.Pool({ connectionString: db.url });
    pools.push(pool);
    for (const wrong of [null, 7, {}, pool, client, { query() {}, queryRunner: {} }]) {
      expect(() => transactions.enlist(wrong)).toThrow(/no open transaction of its own/);
    }
    await client.query('BEGIN');
    const enlisted = transactions.enlist(client);
    await enlisted.query({ text: 'INSERT INTO item VALUES (4)' });
    await client.query('ROLLBACK');
    expect(await itemExists(4)).toBe(false);
    expect(() => new PgTransactions('another', open()).own(enlisted)).toThrow(/another/);
  });

  it('come back after the server ended them', async () => {
    const client = new SagazClient({ kind: 'url', url: db.url }, settings);
    pools.push(client);
    const { rows } = await client.query<{ pid: number }>({
      text: 'SELECT pg_backend_pid() AS pid',
    });
    await open().query({ text: 'SELECT pg_terminate_backend($1)', values: [rows[0]?.pid] });
    await expect
      .poll(() =>
        client.query({ text: 'SELECT 1 AS one' }).then(
          ({ rows: [row] }) => row,
          () => null,
        ),
      )
      .toEqual({ one: 1 });
  });
});
