import {
  Inject,
  Injectable,
  type OnApplicationBootstrap,
  type OnModuleDestroy,
} from '@nestjs/common';
import {
  unservedLanding,
  UnservedWatch,
  type Broker,
  type Clock,
  type Logger,
  type UnservedQueue,
} from '@sagaz/core';
import { Connections, detached } from '../enlist/index.js';
import { SAGAZ_BROKER, SAGAZ_CLOCK, SAGAZ_LOGGER } from '../tokens/index.js';
import { WorkObservers } from './observers.js';

/**
 * Finds queues that no process serves: in the outboxes and landing queues of this process's connections, and at its
 * broker. It looks every half minute, logs warnings, and tells observers.
 */
@Injectable()
export class UnservedQueues implements OnApplicationBootstrap, OnModuleDestroy {
  readonly #watch: UnservedWatch;

  constructor(
    @Inject(SAGAZ_BROKER) broker: Broker | null,
    @Inject(SAGAZ_CLOCK) clock: Clock,
    @Inject(SAGAZ_LOGGER) logger: Logger,
    @Inject(Connections) connections: Connections,
    @Inject(WorkObservers) observers: WorkObservers,
  ) {
    this.#watch = new UnservedWatch({
      sources: [
        // Both are refused to the same roles, which are told once.
        ...connections.all.map(({ name, store }) => async (): Promise<UnservedQueue[]> => {
          const oldestMs = await store.outbox.unserved();
          const landings = (await store.inbox.unservedLandings()).map(unservedLanding);
          return oldestMs === null ? landings : [{ kind: 'outbox', name, oldestMs }, ...landings];
        }),
        // The method is looked up each time, because a broker that is away at the start does not have
        // it yet.
        async () => (await broker?.unserved?.()) ?? [],
      ],
      clock,
      logger,
      observer: (queues) => observers.unserved(queues),
    });
  }

  /** Queues that have been unserved for a minute or longer. */
  get current(): readonly UnservedQueue[] {
    return this.#watch.current;
  }

  onApplicationBootstrap(): void {
    detached(() => this.#watch.start());
  }

  onModuleDestroy(): Promise<void> {
    return this.#watch.stop();
  }
}
