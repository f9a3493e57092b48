import { Module, type INestApplication } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { SagazHealthModule } from '@sagaz/nestjs/health';
import { createDatabase, postgresServers, type TestDatabase } from '@sagaz/test-support';
import type { AddressInfo } from 'node:net';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { appModule } from './app.js';
import { MessageBench } from './message-bench.js';

@Module({ imports: [SagazHealthModule] })
class Probes {}

interface Answer {
  readonly status: number;
  readonly details: Readonly<
    Record<string, { readonly status: string; readonly message?: string }>
  >;
}

const server = postgresServers()[0]!;

describe('the probes of an application', () => {
  let db: TestDatabase;
  let app: INestApplication;
  let origin = '';
  const bench = new MessageBench();

  beforeAll(async () => {
    db = await createDatabase(server);
    app = await NestFactory.create(
      appModule({
        databases: [{ url: db.url }],
        imports: [Probes],
        sagaz: { broker: bench.driver, roles: { engine: false, relay: true, consume: true } },
      }),
      { logger: false },
    );
    await app.listen(0);
    const { port } = (app.getHttpServer() as { address(): AddressInfo }).address();
    origin = `http://127.0.0.1:${port}/health`;
  });
  afterAll(async () => {
    await app.close();
  });

  const ask = async (probe: 'live' | 'ready'): Promise<Answer> => {
    const response = await fetch(`${origin}/${probe}`);
    const { details } = (await response.json()) as Pick<Answer, 'details'>;
    return { status: response.status, details };
  };

  it('are up while all is well, and name what they looked at', async () => {
    expect((await ask('live')).status).toBe(200);
    const { status, details } = await ask('ready');
    expect(status).toBe(200);
    expect(details).toMatchObject({
      database: { status: 'up' },
      broker: { status: 'up' },
      'relay default': { status: 'up' },
    });
  });

  it('say that the broker is away, and that the process lives', async () => {
    bench.broker.setDown(new Error('gone fishing'));
    const { status, details } = await ask('ready');
    expect(status).toBe(503);
    expect(details['broker']).toEqual({ status: 'down', message: 'gone fishing' });
    expect((await ask('live')).status).toBe(200);
    bench.broker.setDown(null);
    expect((await ask('ready')).details['broker']).toEqual({ status: 'up' });
  });

  it('say that the database is away, and that the process lives', async () => {
    await db.drop();
    const { status, details } = await ask('ready');
    expect(status).toBe(503);
    expect(details['database']).toMatchObject({ status: 'down' });
    expect((await ask('live')).status).toBe(200);
  });
});
