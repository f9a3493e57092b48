import { Inject, Injectable, type OnModuleInit } from '@nestjs/common';
import { Relay, undeliveredMail, type Broker, type Clock, type Logger } from '@sagaz/core';
import { Connections, detached, type Connection } from '../enlist/index.js';
import { WorkObservers, Workers, type Worker } from '../lifecycle/index.js';
import type { EffectiveOptions } from '../options/index.js';
import { SAGAZ_BROKER, SAGAZ_CLOCK, SAGAZ_LOGGER, SAGAZ_OPTIONS } from '../tokens/index.js';

/** Relays the outbox of every connection, if this process has that role. */
@Injectable()
export class Relays implements OnModuleInit {
  constructor(
    @Inject(SAGAZ_OPTIONS) private readonly options: EffectiveOptions,
    @Inject(SAGAZ_BROKER) private readonly broker: Broker | null,
    @Inject(SAGAZ_CLOCK) private readonly clock: Clock,
    @Inject(SAGAZ_LOGGER) private readonly logger: Logger,
    @Inject(Connections) private readonly connections: Connections,
    @Inject(Workers) private readonly workers: Workers,
    @Inject(WorkObservers) private readonly observers: WorkObservers,
  ) {}

  onModuleInit(): void {
    const { broker } = this;
    if (broker === null || !this.options.roles.relay) return;
    for (const connection of this.connections.all) {
      this.workers.add(this.#worker(connection, broker));
    }
  }

  #worker({ name, store }: Connection, broker: Broker): Worker {
    const { batchSize, pollInterval, publishTimeout, lease, retry, onDead } = this.options.relay;
    const { signing } = this.options;
    const relay = new Relay({
      outbox: store.outbox,
      broker,
      clock: this.clock,
      logger: this.logger,
      wakeUps: store.wakeUps,
      replyMail: undeliveredMail,
      observer: this.observers.relay(name),
      ...(signing === undefined ? {} : { signing }),
      settings: {
        batchSize,
        retry,
        pollIntervalMs: pollInterval,
        publishTimeoutMs: publishTimeout,
        leaseTtlMs: lease,
        afterDeadLetter: (topic) =>
          (Object.hasOwn(onDead, topic) ? onDead[topic] : undefined) ?? 'skip',
      },
    });
    return {
      name: `relay ${name}`,
      start: () => detached(() => relay.start()),
      stop: (withinMs) => relay.close(withinMs),
      problem: () => relay.problem(),
      // A process that takes sagas, too, goes on with that: what it has to send waits in the outbox.
      withoutBroker: () => (this.options.roles.engine ? 'waits' : 'stops'),
      stuck: () => [{ kind: 'outbox', name, count: relay.stuck() }],
    };
  }
}
