import {
  Inject,
  Injectable,
  type OnApplicationBootstrap,
  type OnModuleDestroy,
} from '@nestjs/common';
import { UnservedSagasWatch, type Clock, type Logger, type UnservedSagas } from '@sagaz/core';
import { Connections, detached } from '../enlist/index.js';
import { SAGAZ_CLOCK, SAGAZ_LOGGER } from '../tokens/index.js';
import { WorkObservers } from './observers.js';

interface StoreWatch {
  readonly connection: string;
  readonly watch: UnservedSagasWatch;
}

/**
 * Finds due sagas that no living engine runs, in the store of each connection. Every process does so,
 * whatever its roles and whether or not it has sagas: where a service's engines are gone, or its last
 * saga class was removed, only the other processes are left to tell.
 */
@Injectable()
export class UnservedSagaWatches implements OnApplicationBootstrap, OnModuleDestroy {
  readonly #watches: readonly StoreWatch[];

  constructor(
    @Inject(SAGAZ_CLOCK) clock: Clock,
    @Inject(SAGAZ_LOGGER) logger: Logger,
    @Inject(Connections) connections: Connections,
    @Inject(WorkObservers) observers: WorkObservers,
  ) {
    this.#watches = connections.all.map(({ name: connection, store }) => ({
      connection,
      watch: new UnservedSagasWatch({
        store: store.sagas,
        clock,
        logger,
        observer: (found) => observers.unservedSagas({ connection, found }),
      }),
    }));
  }

  /** Due sagas that no living engine runs, as this process last saw them. */
  get current(): readonly UnservedSagas[] {
    return this.#watches.flatMap(({ watch }) => watch.found);
  }

  /** The connections whose database refuses the look, so that nothing is known of their sagas here. */
  get refused(): readonly string[] {
    return this.#watches.flatMap(({ connection, watch }) => (watch.refused ? [connection] : []));
  }

  onApplicationBootstrap(): void {
    for (const { watch } of this.#watches) detached(() => watch.start());
  }

  onModuleDestroy(): void {
    for (const { watch } of this.#watches) watch.stop();
  }
}
