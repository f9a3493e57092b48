import { Module, type DynamicModule } from '@nestjs/common';
import type { Broker, BrokerDriver } from '@sagaz/core';
import { MemoryBroker, memoryStore } from '@sagaz/core/memory';
import { SagazLifecycle } from '../lifecycle/index.js';
import { SagazCoreModule } from '../module/index.js';
import type { SagazOptions } from '../options/index.js';
import { SAGAZ_BROKER } from '../tokens/index.js';

/**
 * Options of `SagazTestingModule.forRoot`: those of the application without store and broker, which are
 * in memory here.
 */
export type SagazTestingOptions = Omit<SagazOptions, 'store' | 'stores' | 'broker'>;

/**
 * Sagaz in the memory of the test: the same engine, relay and handlers over a store and a broker that
 * need no server. It replaces the application's module:
 *
 * ```ts
 * // app.module.ts
 * export const sagaz = SagazModule.forRoot({ … });
 * // order.spec.ts
 * const module = await Test.createTestingModule({ imports: [AppModule] })
 *   .overrideModule(sagaz)
 *   .useModule(SagazTestingModule.forRoot({ service: 'orders' }))
 *   .compile();
 * await module.init();
 * module.get(MemoryBroker).published; // every message that has left
 * ```
 *
 * Transactions are the memory store's: open them by `outbox.transaction()`, or let steps and handlers
 * do it. Those of a TypeORM DataSource cannot commit together with a store in memory; test such code
 * on PostgreSQL. Time is the host's; `overrideProvider(SAGAZ_CLOCK).useValue(new VirtualClock())`
 * hands it to the test.
 */
@Module({
  providers: [SagazLifecycle, { provide: MemoryBroker, useExisting: SAGAZ_BROKER }],
  exports: [MemoryBroker],
})
export class SagazTestingModule {
  /** Sagaz with stores and broker in memory, for a test of the application. */
  static forRoot(options: SagazTestingOptions): DynamicModule {
    return {
      module: SagazTestingModule,
      imports: [
        SagazCoreModule.forRoot({
          ...options,
          store: memoryStore(),
          broker: memoryBroker,
          dataSources: [],
        }),
      ],
    };
  }
}

const memoryBroker: BrokerDriver = {
  kind: 'broker',
  name: 'memory',
  create: ({ clock }): Promise<Broker> => Promise.resolve(new MemoryBroker({ clock })),
};
