import { ClsPluginTransactional } from '@nestjs-cls/transactional';
import { Module, type INestApplication, type Type } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { TypeOrmModule } from '@nestjs/typeorm';
import { connectSagaz, SagazModule, SagazTypeOrmAdapter, type RoleOptions } from '@sagaz/nestjs';
import { postgres } from '@sagaz/postgres';
import { ClsModule } from 'nestjs-cls';
import { DataSource } from 'typeorm';
import { BareTransport } from './bare-transport.js';
import { DeliveringBroker } from './delivering-broker.js';
import { Handlers } from './handlers.js';

/** The name by which the proxy knows the connections of the application's own pools. */
export const APPLICATION = 'bench-application';

export interface BenchApplication {
  readonly app: INestApplication;
  readonly broker: DeliveringBroker;
  readonly transport: BareTransport;
}

export interface ApplicationSetup {
  readonly url: string;
  readonly poolSize: number;
  readonly roles: RoleOptions;
  readonly providers?: readonly Type[];
}

/** An application as a user writes one: TypeORM, transactions, Sagaz last. */
export async function startApplication(setup: ApplicationSetup): Promise<BenchApplication> {
  const broker = new DeliveringBroker();
  const transport = new BareTransport();

  @Module({
    imports: [
      TypeOrmModule.forRoot({ ...connection(setup), retryAttempts: 0 }),
      ClsModule.forRoot({
        global: true,
        plugins: [
          new ClsPluginTransactional({
            imports: [TypeOrmModule],
            adapter: new SagazTypeOrmAdapter(),
          }),
        ],
      }),
      SagazModule.forRoot({
        service: 'bench',
        store: postgres(),
        broker: broker.driver,
        roles: { engine: false, relay: false, consume: false, ...setup.roles },
      }),
    ],
    controllers: setup.roles.consume === true ? [Handlers] : [],
    providers: [...(setup.providers ?? [])],
  })
  class BenchModule {}

  const app = await NestFactory.create(BenchModule, { logger: ['error', 'fatal'] });
  if (setup.roles.consume === true) {
    connectSagaz(app);
    app.connectMicroservice({ strategy: transport });
    await app.startAllMicroservices();
  }
  await app.init();
  if (setup.roles.consume === true) await subscribed(broker);
  return { app, broker, transport };
}

/** Connections to the same database that Sagaz knows nothing of. */
export function withoutSagaz(url: string, poolSize: number): Promise<DataSource> {
  return new DataSource(connection({ url, poolSize })).initialize();
}

function connection({ url, poolSize }: Pick<ApplicationSetup, 'url' | 'poolSize'>) {
  // A connection that is opened anew while round trips are counted would count.
  const extra = { idleTimeoutMillis: 0 };
  return { type: 'postgres', url, poolSize, applicationName: APPLICATION, extra } as const;
}

async function subscribed(broker: DeliveringBroker): Promise<void> {
  const end = performance.now() + 30_000;
  while (!broker.subscribed) {
    if (performance.now() > end) throw new Error('The handlers did not subscribe within 30 s.');
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}
