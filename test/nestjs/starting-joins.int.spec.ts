import { Injectable, type INestApplicationContext } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { Saga, SagaOf, SagaStep, Sagas } from '@sagaz/nestjs';
import { postgres, postgresBroker } from '@sagaz/postgres';
import { createDatabase, postgresServers, type TestDatabase } from '@sagaz/test-support';
import pg from 'pg';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { appModule } from './app.js';
import { CuttingProxy } from './cutting-proxy.js';

const server = postgresServers()[0]!;

@Saga({ name: 'small', output: 'only' })
@Injectable()
class SmallSaga extends SagaOf<object, string> {
  @SagaStep()
  only(): Promise<string> {
    return Promise.resolve('done');
  }
}

describe('an application whose database is lost while its parts join', () => {
  let db: TestDatabase;
  let proxy: CuttingProxy;
  let app: INestApplicationContext | null = null;
  let waits: string[];

  beforeEach(async () => {
    db = await createDatabase(server);
    proxy = await CuttingProxy.before(db.url);
    waits = [];
  });
  afterEach(async () => {
    await app?.close();
    app = null;
    await proxy.close();
    await db.drop();
  });

  const start = async (store = postgres()): Promise<void> => {
    const quiet = (): void => undefined;
    const warn = (message: unknown): void => {
      if (String(message).startsWith('The start waits for')) waits.push(String(message));
    };
    app = await NestFactory.createApplicationContext(
      appModule({
        databases: [{ url: proxy.url }],
        providers: [SmallSaga],
        sagaz: {
          store,
          broker: postgresBroker({ url: db.url }),
          roles: { engine: true, relay: true, consume: true },
        },
      }),
      { logger: { log: quiet, error: quiet, warn, fatal: quiet }, abortOnError: false },
    );
  };
  const works = async (): Promise<void> => {
    const handle = await app!.get(Sagas).start(SmallSaga, {});
    expect(await handle.outcome()).toMatchObject({ status: 'completed', output: 'done' });
  };

  /** The statements of the start whose answer it needs, each by a part of its text. */
  const asked: readonly (readonly [string, string])[] = [
    ['the settings of the server', "current_setting('server_version_num')"],
    ['the privileges', 'quote_ident(current_user)'],
    ['the migrations', 'FROM "sagaz".migration'],
    ['the isolation of the DataSource', 'SHOW default_transaction_isolation'],
    ["the engine's clock", 'extract(epoch FROM clock_timestamp()) * 1000) AS ms'],
    ['the registration of the engine', 'INSERT INTO "sagaz".engine'],
  ];

  it.each(asked)('tries again when the connection breaks at %s', async (_name, text) => {
    const broken = proxy.loseNext(text, 'cut');
    await start();
    await broken;
    expect(waits).toHaveLength(1);
    await works();
  });

  it('tries again when the registration of the engine is never answered', async () => {
    const forgotten = proxy.loseNext('INSERT INTO "sagaz".engine', 'forget');
    await start();
    await forgotten;
    expect(waits).toEqual([expect.stringContaining('what the engine default needs')]);
    await works();
  });

  it('tries again when the server ends the registration of the engine, because its table is locked', async () => {
    await start();
    await app?.close();
    const other = new pg.Client({ connectionString: db.url });
    await other.connect();
    try {
      await other.query('BEGIN; LOCK TABLE sagaz.engine IN ACCESS EXCLUSIVE MODE');
      const starting = start(postgres({ pool: { statementTimeoutMs: 300 } }));
      await Promise.race([starting, expect.poll(() => waits.length).toBeGreaterThan(0)]);
      await other.query('COMMIT');
      await starting;
    } finally {
      await other.end();
    }
    expect(waits[0]).toContain('what the engine default needs');
    await works();
  });
});
