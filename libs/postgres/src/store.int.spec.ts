import { newId, systemClock, type Logger, type Store } from '@sagaz/core';
import { createDatabase, describeEachPostgres, type TestDatabase } from '@sagaz/test-support';
import pg from 'pg';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { postgres, type PostgresOptions } from './index.js';

describe('postgres()', () => {
  it.each([
    [{ schema: 'Sagaz' }, /'Sagaz' cannot be the name of a schema/],
    [{ schema: 'x"; DROP' }, /cannot be the name of a schema/],
    [{ pool: { max: 1 } }, /pool\.max of postgres\(\) is 1\. Give a whole number from 2 to 1000\./],
    [{ pool: { statementTimeoutMs: -1 } }, /pool\.statementTimeoutMs of postgres\(\) is -1/],
  ])('refuses %j at once, with the option, the value and the remedy', (options, message) => {
    expect(() => postgres(options)).toThrow(message);
  });
});

describeEachPostgres('the store', (server) => {
  let db: TestDatabase;
  const stores: Store[] = [];
  const lines: string[] = [];
  const note = (message: string): void => {
    lines.push(message);
  };
  const logger: Logger = { debug: note, info: note, warn: note, error: note };

  async function create(options: PostgresOptions, connection?: unknown): Promise<Store> {
    const environment = { service: 'orders', logger, clock: systemClock, connection };
    const store = await postgres(options).create(environment);
    stores.push(store);
    return store;
  }

  beforeEach(async () => {
    db = await createDatabase(server);
    lines.length = 0;
  });
  afterEach(async () => {
    await Promise.all(stores.splice(0).map((store) => store.close()));
    await db.drop();
  });

  it('needs a url or the connection of the application, and says so', async () => {
    await expect(create({})).rejects.toThrow(/was given no url[\s\S]*Give `url`/);
  });

  it('migrates where it may, and refuses an empty database where it may not', async () => {
    const store = await create({ url: db.url });
    await expect(store.start({ migrate: false })).rejects.toMatchObject({
      code: 'SAGAZ_SCHEMA_OUTDATED',
    });
    await store.start({ migrate: true });
    await (await create({ url: db.url })).start({ migrate: false });
    await store.health();
  });

  it('lives in the database of the application, and in its transactions', async () => {
    const url = new URL(db.url);
    const application = new pg.Pool({
      host: url.hostname,
      port: Number(url.port),
      user: url.username,
      password: decodeURIComponent(url.password),
      database: url.pathname.slice(1),
    });
    try {
      const store = await create({}, application.options);
      await store.start({ migrate: true });
      const client = await application.connect();
      await client.query('BEGIN');
      const id = newId();
      const mail = { sagaId: id, kind: 'cancel', dedupeKey: 'cancel', data: '{}' };
      await store.sagas.putMail([mail], store.transactions.enlist(client));
      await client.query('ROLLBACK');
      client.release();
      const { rows } = await application.query('SELECT FROM sagaz.saga_mail');
      expect(rows).toEqual([]);
    } finally {
      await application.end();
    }
  });

  it('refuses a transaction of another database', async () => {
    const other = await createDatabase(server);
    const [one, two] = [await create({ url: db.url }), await create({ url: other.url })];
    await one.start({ migrate: true });
    await two.start({ migrate: true });
    const mixed = one.transactions.run((transaction) => two.sagas.putMail([], transaction));
    await expect(mixed).rejects.toMatchObject({ code: 'SAGAZ_FOREIGN_TRANSACTION' });
    await two.close();
    await other.drop();
  });

  it('wakes another process when a saga ends', async () => {
    const [one, two] = [await create({ url: db.url }), await create({ url: db.url })];
    await one.start({ migrate: true });
    await two.start({ migrate: false });
    const heard: (string | undefined)[] = [];
    two.wakeUps.on('ended', (detail) => heard.push(detail));
    const id = newId();
    one.wakeUps.hint('ended', id);
    await expect.poll(() => heard).toContain(id);
  });

  it('leaves no connection behind when it is closed', async () => {
    const store = await create({ url: db.url });
    await store.start({ migrate: true });
    await store.engines.observe();
    await store.close();
    await store.close();
    const client = new pg.Client({ connectionString: db.url });
    await client.connect();
    const left = async (): Promise<number> => {
      const { rows } = await client.query<{ n: number }>(
        "SELECT count(*)::int AS n FROM pg_stat_activity WHERE datname = current_database() AND application_name LIKE 'sagaz%'",
      );
      return rows[0]?.n ?? 0;
    };
    await expect.poll(left).toBe(0);
    await client.end();
  });
});
