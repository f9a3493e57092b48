import { ClsPluginTransactional } from '@nestjs-cls/transactional';
import {
  Module,
  type INestApplication,
  type INestApplicationContext,
  type Provider,
  type Type,
} from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { TypeOrmModule, getDataSourceToken } from '@nestjs/typeorm';
import { SagazModule, SagazTypeOrmAdapter, connectSagaz, type SagazOptions } from '@sagaz/nestjs';
import { postgres } from '@sagaz/postgres';
import { ClsModule } from 'nestjs-cls';
import pg from 'pg';
import { Line, Note, Order } from './orders.js';

export interface DatabaseSetup {
  readonly url: string;
  /** `'default'` for the unnamed DataSource. */
  readonly name?: string;
  /** Connections of the application's own pool. */
  readonly poolSize?: number;
  /** Whether injected repositories work on the ambient transaction. Default `join`. */
  readonly ambient?: 'join' | 'off';
}

export interface AppSetup {
  readonly databases: readonly DatabaseSetup[];
  readonly providers?: readonly Provider[];
  readonly controllers?: readonly Type[];
  /** Modules beside Sagaz, in the order of the root module's imports. */
  readonly imports?: readonly Type[];
  readonly sagaz?: Partial<SagazOptions>;
}

/** A root module as a user writes it: TypeORM, transactions, Sagaz last. */
export function appModule({
  databases,
  providers = [],
  controllers = [],
  imports = [],
  sagaz = {},
}: AppSetup): Type {
  @Module({
    imports: [
      ...databases.flatMap(({ name = 'default', url, poolSize = 5 }) => [
        TypeOrmModule.forRoot({
          name,
          type: 'postgres',
          url,
          poolSize,
          entities: [Order, Line, Note],
          synchronize: true,
          retryAttempts: 0,
        }),
        TypeOrmModule.forFeature([Order, Line], name),
      ]),
      ClsModule.forRoot({
        plugins: databases.map(
          ({ name = 'default' }) =>
            new ClsPluginTransactional({
              ...(name === 'default' ? {} : { connectionName: name }),
              imports: [TypeOrmModule],
              adapter: new SagazTypeOrmAdapter(getDataSourceToken(name)),
            }),
        ),
      }),
      ...imports,
      SagazModule.forRoot({
        service: 'orders',
        store: postgres(),
        roles: { engine: false, relay: false, consume: false },
        dataSources: databases.map(({ name = 'default', ambient }) =>
          ambient === undefined ? name : { name, ambient },
        ),
        ...sagaz,
      }),
    ],
    providers: [...providers],
    controllers: [...controllers],
  })
  class AppModule {}
  return AppModule;
}

const QUIET = ['error', 'fatal'] as const;

/** An application without handlers. */
export function startApp(setup: AppSetup): Promise<INestApplicationContext> {
  return NestFactory.createApplicationContext(appModule(setup), { logger: [...QUIET] });
}

/** An application that handles messages. */
export async function startService(setup: AppSetup): Promise<INestApplication> {
  const app = await NestFactory.create(appModule(setup), { logger: [...QUIET] });
  connectSagaz(app);
  await app.startAllMicroservices();
  await app.init();
  return app;
}

/** A look at a database from outside the application. */
export class Observer {
  readonly #pool: pg.Pool;

  constructor(url: string) {
    this.#pool = new pg.Pool({ connectionString: url, max: 2 });
    // A server that a test stops after close() may say so on a connection that it still takes for open.
    this.#pool.on('error', () => undefined);
  }

  async rows<R extends pg.QueryResultRow>(text: string, values: unknown[] = []): Promise<R[]> {
    return (await this.#pool.query<R>(text, values)).rows;
  }

  /** Types of the messages in the outbox, in their order. */
  async outbox(): Promise<string[]> {
    const rows = await this.rows<{ type: string }>(
      'SELECT type FROM sagaz.message WHERE lane <> 5 ORDER BY seq',
    );
    return rows.map(({ type }) => type);
  }

  async orders(): Promise<string[]> {
    const rows = await this.rows<{ id: string }>('SELECT id FROM orders ORDER BY id');
    return rows.map(({ id }) => id);
  }

  async clear(): Promise<void> {
    await this.#pool.query('TRUNCATE orders, lines');
    await this.#pool.query('DELETE FROM sagaz.message');
  }

  async close(): Promise<void> {
    await this.#pool.end();
  }
}
