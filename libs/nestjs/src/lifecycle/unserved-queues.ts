import {
  Inject,
  Injectable,
  type OnApplicationBootstrap,
  type OnModuleDestroy,
} from '@nestjs/common';
import {
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
 * Messages that wait for nobody, as this process sees them: in the outboxes of its connections, and at
 * its broker. Looked for every half minute, warned about, and told to observers.
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
        ...connections.all.map(({ name, store }) => async (): Promise<UnservedQueue[]> => {
          const oldestMs = await store.outbox.unserved();
          return oldestMs === null ? [] : [{ kind: 'outbox', name, oldestMs }];
        }),
        // Asked each time: a broker that is away when the process starts cannot say yet what it can tell.
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
