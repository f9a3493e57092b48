import { Module, type INestApplicationContext, type Type } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { TypeOrmModule } from '@nestjs/typeorm';
import { SagazModule, StartTimeoutError, waitForDatabase, type SagazOptions } from '@sagaz/nestjs';
import { postgres, postgresBroker } from '@sagaz/postgres';
import {
  createDatabase,
  postgresServers,
  SilentProxy,
  type TestDatabase,
} from '@sagaz/test-support';
import { DataSource } from 'typeorm';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';

const server = postgresServers()[0]!;
const ROLES = { engine: false, relay: true, consume: false };

/** Collects what the application logs, and lets a test wait for a line. */
class Lines {
  readonly all: string[] = [];
  readonly #waiting: { readonly text: string; readonly resolve: () => void }[] = [];

  readonly log = (message: unknown): void => {
    const line = String(message);
    this.all.push(line);
    for (const { text, resolve } of this.#waiting) if (line.includes(text)) resolve();
  };
  readonly warn = this.log;
  readonly error = this.log;
  readonly fatal = this.log;
  readonly debug = (): void => undefined;
  readonly verbose = (): void => undefined;

  said(text: string): Promise<void> {
    if (this.all.some((line) => line.includes(text))) return Promise.resolve();
    return new Promise((resolve) => this.#waiting.push({ text, resolve }));
  }
}

function root(
  sagaz: Partial<SagazOptions>,
  ...imports: NonNullable<Parameters<typeof Module>[0]['imports']>
): Type {
  @Module({
    imports: [
      ...imports,
      SagazModule.forRoot({ service: 'orders', store: postgres(), roles: ROLES, ...sagaz }),
    ],
  })
  class AppModule {}
  return AppModule;
}

describe('an application that starts while a server is away', () => {
  let db: TestDatabase;
  let proxy: SilentProxy | null = null;
  let app: INestApplicationContext | null = null;
  let away = '';
  let port = 0;
  beforeAll(async () => {
    db = await createDatabase(server);
  });
  afterEach(async () => {
    await app?.close();
    await proxy?.close();
    app = null;
    proxy = null;
  });
  afterAll(() => db.drop());

  /** A url of the database at which nobody listens yet. */
  async function absent(): Promise<void> {
    const free = await SilentProxy.before(db.url);
    away = free.url;
    port = Number(new URL(away).port);
    await free.close();
  }

  const start = (module: Type, lines = new Lines()): Promise<INestApplicationContext> =>
    NestFactory.createApplicationContext(module, { logger: lines, abortOnError: false });

  it('waits for its database, says so, and works once it is there', async () => {
    await absent();
    const lines = new Lines();
    const options = {
      store: postgres({ url: away }),
      broker: postgresBroker({ url: db.url }),
    };
    const starting = start(root(options), lines);
    let ended = false;
    void starting.finally(() => (ended = true));
    await lines.said('The start waits for the database');
    expect(ended).toBe(false);
    proxy = await SilentProxy.before(db.url, port);
    app = await starting;
    expect(lines.all.join()).toContain('The start goes on: the database');
    expect(proxy.open).toBeGreaterThan(0);
  });

  it('does not wait for its broker, says so, and connects to it once it is there', async () => {
    await absent();
    const lines = new Lines();
    const options = { store: postgres({ url: db.url }), broker: postgresBroker({ url: away }) };
    app = await start(root(options), lines);
    expect(lines.all.join()).toContain('The application starts without its broker postgres');
    expect(lines.all.join()).not.toContain('The start waits');
    proxy = await SilentProxy.before(db.url, port);
    await lines.said('The broker postgres is there');
    expect(proxy.open).toBeGreaterThan(0);
  });

  it('ends when the configured time is over, and says what it has waited for', async () => {
    await absent();
    const starting = start(
      root({
        store: postgres({ url: away }),
        broker: postgresBroker({ url: db.url }),
        startTimeout: '300ms',
      }),
    );
    await expect(starting).rejects.toThrow(StartTimeoutError);
    await expect(starting).rejects.toThrow(/database of "default".*ECONNREFUSED/);
  });

  const wrong = (change: (url: URL) => void): string => {
    const url = new URL(db.url);
    change(url);
    return url.href;
  };

  it.each([
    ['a database that is not there', (url: URL) => (url.pathname = '/nowhere'), 'does not exist'],
    ['a role that is not there', (url: URL) => (url.username = 'nobody_here'), 'nobody_here'],
  ])('does not wait for %s', async (_, change, problem) => {
    const url = wrong(change);
    const lines = new Lines();
    for (const options of [
      { store: postgres({ url }), broker: postgresBroker({ url: db.url }) },
      { store: postgres({ url: db.url }), broker: postgresBroker({ url }) },
    ]) {
      await expect(start(root({ ...options, startTimeout: '1h' }), lines)).rejects.toThrow(problem);
    }
    const typeorm = TypeOrmModule.forRoot({ type: 'postgres', url, ...waitForDatabase('1h') });
    const broker = postgresBroker({ url: db.url });
    await expect(start(root({ broker }, typeorm), lines)).rejects.toThrow(problem);
    expect(lines.all.join()).not.toContain('The start waits');
  });

  it('does not wait for a schema that nobody has made', async () => {
    const options = {
      store: postgres({ url: db.url, schema: 'absent' }),
      broker: postgresBroker({ url: db.url }),
      migrate: false,
      startTimeout: '1h',
    } as const;
    await expect(start(root(options))).rejects.toThrow('npx sagaz migrate');
  });

  it('waits for the database of its DataSource as well', async () => {
    await absent();
    const lines = new Lines();
    const typeorm = TypeOrmModule.forRoot({ type: 'postgres', url: away, ...waitForDatabase() });
    const starting = start(root({ broker: postgresBroker({ url: db.url }) }, typeorm), lines);
    await lines.said('Unable to connect to the database');
    proxy = await SilentProxy.before(db.url, port);
    app = await starting;
    expect(await app.get(DataSource).query('SELECT 1 AS one')).toEqual([{ one: 1 }]);
  });
});
