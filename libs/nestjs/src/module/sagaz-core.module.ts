import { Inject, Module, type OnApplicationShutdown } from '@nestjs/common';
import { APP_INTERCEPTOR, DiscoveryModule, ModulesContainer } from '@nestjs/core';
import {
  guardedLogger,
  systemClock,
  type Broker,
  type Clock,
  type Logger,
  errorText,
} from '@sagaz/core';
import { connectBroker } from '../broker/index.js';
import { DeadLetters } from '../dead-letters/index.js';
import {
  Connections,
  RequestContextInterceptor,
  TypeOrmConnection,
  poolOf,
} from '../enlist/index.js';
import { Consumers, HandlerObservers, HandlerSet, SagazServer } from '../handlers/index.js';
import {
  UnservedQueues,
  UnservedSagaWatches,
  Workers,
  WorkObservers,
  endedWithin,
  httpTimeOf,
} from '../lifecycle/index.js';
import { activeRoles, readOptions, type EffectiveOptions } from '../options/index.js';
import { Outbox, Relays, loadTracing } from '../outbox/index.js';
import { Engines, Replies, SagaSet, Sagas } from '../sagas/index.js';
import { IdempotentMethods, IdempotentRefusals } from '../transports/index.js';
import { SAGAZ_BROKER, SAGAZ_CLOCK, SAGAZ_LOGGER, SAGAZ_OPTIONS } from '../tokens/index.js';
import { GIVEN_OPTIONS } from './given-options.js';
import { ConfigurableModuleClass } from './module-definition.js';
import { requireOnce } from './module-checks.js';
import { checkVersions } from './version-check.js';
import { NestSagazLogger } from './nest-logger.js';

/**
 * All providers except the lifecycle. The module is global, so that services and handlers of every
 * module can use them.
 */
@Module({
  imports: [DiscoveryModule],
  providers: [
    {
      provide: SAGAZ_OPTIONS,
      inject: [GIVEN_OPTIONS, ModulesContainer],
      useFactory: async (given: unknown, modules: ModulesContainer) => {
        requireOnce(modules, SagazCoreModule);
        await loadTracing();
        const options = readOptions(given, process.env);
        checkVersions(options);
        return options;
      },
    },
    { provide: SAGAZ_LOGGER, useFactory: () => guardedLogger(new NestSagazLogger()) },
    { provide: SAGAZ_CLOCK, useValue: systemClock },
    {
      provide: SAGAZ_BROKER,
      inject: [SAGAZ_OPTIONS, SAGAZ_LOGGER, SAGAZ_CLOCK, Connections, WorkObservers],
      useFactory: async (
        { broker, service, roles }: EffectiveOptions,
        logger: Logger,
        clock: Clock,
        connections: Connections,
        observers: WorkObservers,
      ): Promise<Broker | null> => {
        if (broker === undefined) return null;
        const main = connections.all.find((connection) => connection instanceof TypeOrmConnection);
        const pool = main === undefined ? undefined : poolOf(main.dataSource);
        const environment = {
          service,
          logger,
          clock,
          roles: activeRoles(roles),
          ...(pool === undefined ? {} : { connection: pool.options }),
        };
        return connectBroker({
          name: broker.name,
          connect: () => broker.create(environment),
          clock,
          logger,
          onFailure: (failure) => observers.brokerFailed({ failure }),
        });
      },
    },
    { provide: APP_INTERCEPTOR, useClass: RequestContextInterceptor },
    WorkObservers,
    Workers,
    Outbox,
    Relays,
    UnservedQueues,
    UnservedSagaWatches,
    SagaSet,
    Engines,
    Replies,
    Sagas,
    DeadLetters,
    HandlerObservers,
    HandlerSet,
    SagazServer,
    Consumers,
    IdempotentMethods,
    IdempotentRefusals,
  ],
  exports: [
    SAGAZ_OPTIONS,
    SAGAZ_LOGGER,
    SAGAZ_CLOCK,
    SAGAZ_BROKER,
    Connections,
    WorkObservers,
    Workers,
    UnservedQueues,
    UnservedSagaWatches,
    Outbox,
    SagaSet,
    Sagas,
    Engines,
    DeadLetters,
    HandlerObservers,
    HandlerSet,
    SagazServer,
    Consumers,
    IdempotentMethods,
    IdempotentRefusals,
  ],
})
export class SagazCoreModule extends ConfigurableModuleClass implements OnApplicationShutdown {
  constructor(
    @Inject(Connections) private readonly connections: Connections,
    @Inject(SAGAZ_BROKER) private readonly broker: Broker | null,
    @Inject(SAGAZ_LOGGER) private readonly logger: Logger,
    @Inject(SAGAZ_OPTIONS) private readonly options: EffectiveOptions,
  ) {
    super();
  }

  /** Stores and brokers are closed last, because the application's own hooks may publish until then. */
  async onApplicationShutdown(): Promise<void> {
    this.connections.dispose();
    const closing = [
      ...(this.broker === null ? [] : [this.broker]),
      ...this.connections.all.map(({ store }) => store),
    ];
    const left = this.options.shutdownTimeout - httpTimeOf(this.options.shutdownTimeout);
    const ended = await endedWithin(
      left,
      closing.map(async (one) => {
        try {
          await one.close();
        } catch (error) {
          this.logger.warn('A store or broker did not close in good order.', {
            error: errorText(error),
          });
        }
      }),
    );
    if (!ended) {
      this.logger.warn('A store or broker did not close within the shutdown timeout; it is left.');
    }
  }
}
