import { systemClock } from '@sagaz/core';
import { VirtualClock } from '@sagaz/core/testing';
import {
  createDatabase,
  describePgBouncer,
  startPgBouncer,
  type PgBouncer,
  type TestDatabase,
} from '@sagaz/test-support';
import pg from 'pg';
import { afterEach, beforeEach, expect, it } from 'vitest';
import {
  checkServer,
  PgTransactions,
  Prepared,
  SagazPool,
  schemaName,
} from './connection/index.js';
import { PgWakeUps } from './wake-ups/index.js';

const settings = { applicationName: 'spec', connectTimeoutMs: 5_000, statementTimeoutMs: 30_000 };

// All other specs run there as well: npm run test:pgbouncer.
describePgBouncer('behind PgBouncer', (server) => {
  let db: TestDatabase;
  const open: (() => Promise<unknown>)[] = [];
  let warnings: string[];
  const logger = {
    debug() {},
    info() {},
    warn: (text: string) => {
      warnings.push(text);
    },
    error() {},
  };

  beforeEach(async () => {
    warnings = [];
    db = await createDatabase(server);
  });
  afterEach(async () => {
    for (const close of open.splice(0).reverse()) await close();
    await db.drop();
  });

  async function bouncer(own: Record<string, string | number> = {}): Promise<PgBouncer> {
    const started = await startPgBouncer(db.url, own);
    open.push(() => started.stop());
    return started;
  }
  function pool(url: string): SagazPool {
    const made = new SagazPool({
      ...settings,
      source: { kind: 'url', url },
      max: 2,
      logger,
    });
    open.push(() => made.end());
    return made;
  }
  async function application(url: string): Promise<pg.Client> {
    const client = new pg.Client({ connectionString: url });
    client.on('error', () => undefined);
    await client.connect();
    open.push(() => client.end());
    return client;
  }

  /** How many statements of Sagaz's are prepared on the connection that answers. */
  const prepared = {
    text: "SELECT count(*)::int AS n FROM pg_prepared_statements WHERE name LIKE 'sagaz%'",
  };

  it('prepares nothing on connections that go from hand to hand, and says so once', async () => {
    const { url } = await bouncer({ default_pool_size: 2 });
    const [one, two] = [pool(url), pool(url)];
    const statement = new Prepared('SELECT $1::int AS n');
    for (let n = 0; n < 10; n += 1) {
      const found = await Promise.all(
        [one, two, one, two].map((each) => each.query<{ n: number }>(statement.with([n]))),
      );
      expect(found.map(({ rows }) => rows[0]?.n)).toEqual([n, n, n, n]);
    }
    expect((await one.query(prepared)).rows).toEqual([{ n: 0 }]);
    expect(warnings.filter((text) => text.includes('not prepared'))).toHaveLength(2);
  });

  it('goes on preparing where no pooler stands between', async () => {
    const direct = pool(db.url);
    await direct.query(new Prepared('SELECT 1').with([]));
    expect((await direct.query(prepared)).rows).toEqual([{ n: 1 }]);
    expect(warnings).toEqual([]);
  });

  it('asks each client: an application may come by the pooler and Sagaz past it', async () => {
    const { url } = await bouncer();
    const own = pool(db.url);
    const transactions = new PgTransactions('postgres', own);
    const statement = new Prepared('SELECT $1::int AS n');
    // Two clients that PgBouncer gives the same connection, one after the other.
    for (const client of [await application(url), await application(url)]) {
      await client.query('BEGIN');
      const { rows } = await transactions.enlist(client).query<{ n: number }>(statement.with([7]));
      await client.query('COMMIT');
      expect(rows).toEqual([{ n: 7 }]);
    }
    await own.query(statement.with([8]));
    expect((await own.query(prepared)).rows).toEqual([{ n: 1 }]);
    expect(warnings).toHaveLength(1);
  });

  it('runs again without a name what a connection has forgotten, or knows from somebody else', async () => {
    const statement = new Prepared('SELECT $1::int AS n');
    for (const muddle of ['DEALLOCATE ALL', `PREPARE "${statement.with([]).name}" AS SELECT 1`]) {
      const own = pool(db.url);
      if (muddle.startsWith('DEALLOCATE')) await own.query(statement.with([1]));
      await own.query({ text: muddle });
      expect((await own.query(statement.with([2]))).rows).toEqual([{ n: 2 }]);
      expect((await own.query(statement.with([3]))).rows).toEqual([{ n: 3 }]);
    }
    expect(warnings).toHaveLength(2);
  });

  it.each([
    ['transaction', false],
    ['session', true],
  ] as const)('in %s mode a listener hears: %s', async (pool_mode, hears) => {
    const { url } = await bouncer({ pool_mode });
    const clock = hears ? systemClock : new VirtualClock();
    const wakeUps = new PgWakeUps({
      source: { kind: 'url', url },
      settings,
      pool: pool(url),
      schema: schemaName('sagaz'),
      clock,
      logger,
      heartbeatMs: 5_000,
    });
    open.push(() => wakeUps.close());
    const opened = new Promise<void>((resolve) => {
      wakeUps.on('outbox', () => resolve());
    });
    await wakeUps.start();
    if (clock instanceof VirtualClock) await clock.advance(5_000);
    else await opened;
    expect(wakeUps.listening).toBe(hears);
    expect(warnings.filter((text) => text.includes('do not arrive'))).toHaveLength(hears ? 0 : 1);
  });

  it.each([
    ['refuses', ''],
    ['ignores', 'options, statement_timeout'],
  ] as const)(
    'warns where the pooler %s the limit of a statement, unless the role has one',
    async (_, ignore_startup_parameters) => {
      const noLimit = (): string[] => warnings.filter((text) => text.includes('no time limit'));
      await checkServer(pool((await bouncer({ ignore_startup_parameters })).url), logger);
      expect(noLimit()).toHaveLength(1);
      await alter('SET statement_timeout = 5000');
      await checkServer(pool((await bouncer({ ignore_startup_parameters })).url), logger);
      expect(noLimit()).toHaveLength(1);
    },
  );

  it('refuses a role whose single statements would look at the time before they waited', async () => {
    await alter("SET default_transaction_isolation = 'repeatable read'");
    await expect(checkServer(pool((await bouncer()).url), logger)).rejects.toMatchObject({
      code: 'SAGAZ_UNSUITABLE_SERVER',
    });
    await checkServer(pool(db.url), logger);
  });

  async function alter(what: string): Promise<void> {
    const client = await application(db.url);
    await client.query(`ALTER DATABASE "${new URL(db.url).pathname.slice(1)}" ${what}`);
  }
});
