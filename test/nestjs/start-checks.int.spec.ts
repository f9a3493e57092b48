import { Injectable } from '@nestjs/common';
import { defineEvent, type StoreDriver } from '@sagaz/core';
import {
  HandlerSetupError,
  IdempotentHandler,
  PoolTooSmallError,
  Saga,
  SagaOf,
  SagaScopeError,
  SagaStep,
  StoreElsewhereError,
  TransactionHostError,
  VersionMismatchError,
  connectSagaz,
  type SagazOptions,
} from '@sagaz/nestjs';
import { postgres, postgresBroker } from '@sagaz/postgres';
import { createDatabase, postgresServers, type TestDatabase } from '@sagaz/test-support';
import { NestFactory } from '@nestjs/core';
import { Controller, Module, Scope, type Type } from '@nestjs/common';
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

const Happened = defineEvent<{ n: number }>()('start.happened');

@Controller()
class Handler {
  @IdempotentHandler(Happened)
  async heard(): Promise<void> {
    await Promise.resolve();
  }
}

@Injectable()
class NoController {
  @IdempotentHandler(Happened)
  async heard(): Promise<void> {
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

  const consuming = (): Partial<SagazOptions> => ({
    broker: postgresBroker({ url: db.url }),
    roles: { engine: false, relay: false, consume: true },
  });

  /** With `connectSagaz(app)`, called as often as is said. */
  const serving = async (module: Type, connected = 1): Promise<unknown> => {
    const app = await NestFactory.create(module, { logger: false, abortOnError: false });
    try {
      for (let n = 0; n < connected; n += 1) connectSagaz(app);
      await app.startAllMicroservices();
      await app.init();
      return undefined;
    } catch (error) {
      return error;
    } finally {
      await app.close();
    }
  };

  it('with a handler that no message would ever reach, because it is in no controller', async () => {
    const error = await starting({ providers: [NoController], sagaz: consuming() });
    expect(error).toBeInstanceOf(HandlerSetupError);
    expect(String(error)).toContain('NoController.heard: only methods of controllers handle');
  });

  it('with a handler whose transaction would wait for itself', async () => {
    const databases = [{ url: db.url, poolSize: 1 }];
    const module = appModule({ databases, controllers: [Handler], sagaz: consuming() });
    expect(await serving(module)).toBeInstanceOf(PoolTooSmallError);
  });

  it('with a handler whose repositories could not join its transaction', async () => {
    @Module({
      imports: [
        TypeOrmModule.forRoot({ type: 'postgres', url: db.url, retryAttempts: 0 }),
        SagazModule.forRoot({ service: 'orders', store: postgres(), ...consuming() }),
      ],
      controllers: [Handler],
    })
    class AppModule {}
    expect(await serving(AppModule)).toBeInstanceOf(TransactionHostError);
  });

  it('with connectSagaz called twice', async () => {
    const databases = [{ url: db.url, poolSize: 2 }];
    const module = appModule({ databases, controllers: [Handler], sagaz: consuming() });
    expect(String(await serving(module, 2))).toContain(
      'connectSagaz: it was called twice for one application. Call it once',
    );
    expect(await serving(module, 1)).toBe(undefined);
  });

  it('and starts when nothing is wrong', async () => {
    expect(await starting({ providers: [OrderService] })).toBe(undefined);
  });
});
