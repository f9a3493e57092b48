import { Injectable } from '@nestjs/common';
import type { StoreDriver } from '@sagaz/core';
import {
  PoolTooSmallError,
  Saga,
  SagaOf,
  SagaScopeError,
  SagaStep,
  StoreElsewhereError,
  TransactionHostError,
  VersionMismatchError,
} from '@sagaz/nestjs';
import { postgres } from '@sagaz/postgres';
import { createDatabase, postgresServers, type TestDatabase } from '@sagaz/test-support';
import { NestFactory } from '@nestjs/core';
import { Module, Scope } from '@nestjs/common';
import { TypeOrmModule } from '@nestjs/typeorm';
import { SagazModule } from '@sagaz/nestjs';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { appModule, type AppSetup } from './app.js';
import { OrderService } from './service.js';

@Saga({ name: 'transactional' })
@Injectable()
class TransactionalSaga extends SagaOf<string> {
  @SagaStep({ transactional: true })
  async write(): Promise<void> {
    await Promise.resolve();
  }
}

@Saga({ name: 'per-request' })
@Injectable({ scope: Scope.REQUEST })
class RequestSaga extends SagaOf<string> {
  @SagaStep()
  async write(): Promise<void> {
    await Promise.resolve();
  }
}

const server = postgresServers()[0]!;

describe('an application does not start', () => {
  let db: TestDatabase;
  let other: TestDatabase;

  beforeAll(async () => {
    db = await createDatabase(server);
    other = await createDatabase(server);
  });
  afterAll(() => Promise.all([db.drop(), other.drop()]));

  const starting = async (setup: Omit<AppSetup, 'databases'>, poolSize = 5): Promise<unknown> => {
    const module = appModule({ databases: [{ url: db.url, poolSize }], ...setup });
    const context = NestFactory.createApplicationContext(module, {
      logger: false,
      abortOnError: false,
    });
    try {
      await (await context).close();
      return undefined;
    } catch (error) {
      return error;
    }
  };

  it('with a store in another database than its DataSource', async () => {
    const store = postgres({ url: other.url });
    expect(await starting({ sagaz: { store } })).toBeInstanceOf(StoreElsewhereError);
  });

  it('with a store in the same database of the same server, but in another schema of the DataSource: it does start', async () => {
    expect(await starting({ sagaz: { store: postgres({ url: db.url, schema: 'mine' }) } })).toBe(
      undefined,
    );
  });

  it('with a pool that one transactional step would wait for itself on', async () => {
    const error = await starting({ providers: [TransactionalSaga] }, 1);
    expect(error).toBeInstanceOf(PoolTooSmallError);
    expect(await starting({ providers: [TransactionalSaga] }, 2)).toBe(undefined);
  });

  it('with a saga that is made for each request', async () => {
    expect(await starting({ providers: [RequestSaga] })).toBeInstanceOf(SagaScopeError);
  });

  it('with drivers of another version', async () => {
    const store: StoreDriver = { ...postgres(), version: '0.0.9' };
    const error = await starting({ sagaz: { store } });
    expect(error).toBeInstanceOf(VersionMismatchError);
    expect(String(error)).toContain('the store postgres (with @sagaz/core) 0.0.9');
  });

  it('with transactional steps that repositories could not join', async () => {
    @Module({
      imports: [
        TypeOrmModule.forRoot({ type: 'postgres', url: db.url, retryAttempts: 0 }),
        SagazModule.forRoot({
          service: 'orders',
          store: postgres(),
          roles: { engine: false, relay: false, consume: false },
        }),
      ],
      providers: [TransactionalSaga],
    })
    class AppModule {}
    const context = NestFactory.createApplicationContext(AppModule, {
      logger: false,
      abortOnError: false,
    });
    await expect(context).rejects.toThrow(TransactionHostError);
    await expect(context).rejects.toThrow('adapter: new SagazTypeOrmAdapter()');
  });

  it('and starts when nothing is wrong', async () => {
    expect(await starting({ providers: [OrderService] })).toBe(undefined);
  });
});
