import { Injectable, type INestApplicationContext, type OnModuleInit } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import {
  createDatabase,
  postgresServers,
  SilentProxy,
  type TestDatabase,
} from '@sagaz/test-support';
import { DataSource } from 'typeorm';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { appModule, startApp } from './app.js';
import { CuttingProxy } from './cutting-proxy.js';

const server = postgresServers()[0]!;

describe('an application that starts while connections to its database are forgotten', () => {
  let db: TestDatabase;
  let proxy: CuttingProxy | SilentProxy;
  let app: INestApplicationContext | null = null;

  beforeEach(async () => {
    db = await createDatabase(server);
    app = null;
  });
  afterEach(async () => {
    // The pool of the application waits for connections that it is still opening.
    await Promise.all([app?.close(), proxy.close()]);
    await db.drop();
  });

  it('reads the isolation level again on another connection', async () => {
    const cutting = await CuttingProxy.before(db.url);
    proxy = cutting;
    const forgotten = cutting.forgetNext('SHOW default_transaction_isolation');
    app = await startApp({ databases: [{ url: cutting.url }] });
    await forgotten;
    expect(cutting.forgotten).toBe(0);
  }, 120_000);

  it('goes on when its pool, which has no limit for opening a connection, gets one', async () => {
    const silent = await SilentProxy.before(db.url);
    proxy = silent;
    /** Silences the database after TypeORM has connected, and before Sagaz starts. */
    @Injectable()
    class Silencer implements OnModuleInit {
      onModuleInit(): void {
        silent.silence(true);
      }
    }
    let waits = 0;
    const warn = (message: unknown): void => {
      if (String(message).startsWith('The start waits for the database')) waits += 1;
    };
    const quiet = (): void => undefined;
    const logger = { log: quiet, error: quiet, warn, fatal: quiet };
    const starting = NestFactory.createApplicationContext(
      appModule({ databases: [{ url: silent.url }], providers: [Silencer] }),
      { logger, abortOnError: false },
    );
    // The first try gets an idle connection, and the second one has to open another.
    await expect.poll(() => waits, { timeout: 90_000 }).toBeGreaterThanOrEqual(2);
    silent.silence(false);
    app = await starting;
    expect(await app.get(DataSource).query('SELECT 1 AS one')).toEqual([{ one: 1 }]);
  }, 150_000);
});
