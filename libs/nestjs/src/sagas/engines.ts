import { hostname } from 'node:os';
import { Inject, Injectable, type OnApplicationShutdown, type OnModuleInit } from '@nestjs/common';
import { HEADERS, SagaEngine, type Broker, type Clock, type Logger } from '@sagaz/core';
import { Connections, detached, inContextOfItsOwn, type Connection } from '../enlist/index.js';
import { WorkObservers, Workers, drainTimeOf } from '../lifecycle/index.js';
import { withLogFields, type WorkFields } from '../logging/index.js';
import type { EffectiveOptions } from '../options/index.js';
import { traceIdOf, withHeaders, withTraceOf } from '../outbox/index.js';
import { SAGAZ_BROKER, SAGAZ_CLOCK, SAGAZ_LOGGER, SAGAZ_OPTIONS } from '../tokens/index.js';
import { SagaSet } from './saga-set.js';
import { stepTransactionsOf } from './step-transactions.js';

/**
 * Makes an engine for every connection. If this process has the role, the engines of connections that
 * keep its sagas are run.
 */
@Injectable()
export class Engines implements OnModuleInit, OnApplicationShutdown {
  readonly #engines = new Map<Connection, SagaEngine>();
  #stopping = false;

  constructor(
    @Inject(SAGAZ_OPTIONS) private readonly options: EffectiveOptions,
    @Inject(SAGAZ_BROKER) private readonly broker: Broker | null,
    @Inject(SAGAZ_CLOCK) private readonly clock: Clock,
    @Inject(SAGAZ_LOGGER) private readonly logger: Logger,
    @Inject(Connections) private readonly connections: Connections,
    @Inject(SagaSet) private readonly sagas: SagaSet,
    @Inject(Workers) private readonly workers: Workers,
    @Inject(WorkObservers) private readonly observers: WorkObservers,
  ) {}

  onModuleInit(): void {
    // This is done even if no engine runs here, because requests may wait for sagas that other
    // processes run.
    this.workers.whenStopping(() => {
      this.#stopping = true;
      for (const engine of this.#engines.values()) engine.endWaits();
    });
    for (const connection of this.connections.all) {
      const definitions = this.sagas.of(connection);
      const transactional = definitions.some(({ steps }) =>
        [...steps.values()].some(
          (step) =>
            step.transactional ||
            step.compensation?.transactional === true ||
            step.forwardRecovery?.transactional === true,
        ),
      );
      // Checked now, or the first step would fail because it cannot open its transaction.
      if (transactional) connection.assertJoinable();
      if (definitions.length > 0 && this.options.roles.engine) this.#addWorker(connection);
    }
  }

  /**
   * Returns the engine of a connection. If it is not run here, sagas that it starts are claimed by
   * another process.
   */
  of(connection: Connection): SagaEngine {
    let engine = this.#engines.get(connection);
    if (engine === undefined) {
      engine = this.#make(connection);
      this.#engines.set(connection, engine);
    }
    return engine;
  }

  async onApplicationShutdown(): Promise<void> {
    await Promise.all([...this.#engines.values()].map((engine) => engine.close()));
  }

  #addWorker(connection: Connection): void {
    let running = false;
    this.workers.add({
      name: `engine ${connection.name}`,
      start: async () => {
        await detached(() => this.of(connection).run());
        running = true;
      },
      stop: async () => {
        running = false;
        const engine = this.of(connection);
        // Requests are still served while the others stop: from here on they start sagas that
        // another process runs.
        this.#engines.set(connection, this.#make(connection));
        await engine.close();
      },
      problem: () =>
        !running
          ? null
          : this.of(connection).healthy
            ? this.of(connection).problem
            : `The engine of "${connection.name}" has had no heartbeat lately; is its database there?`,
    });
  }

  #make(connection: Connection): SagaEngine {
    const engine = this.#construct(connection);
    if (this.#stopping) engine.endWaits();
    return engine;
  }

  #construct(connection: Connection): SagaEngine {
    const { keep } = this.options.engine;
    return new SagaEngine({
      service: this.options.service,
      hearsReplies: this.broker !== null,
      // Every process does that, also one without an engine.
      looksForUnserved: false,
      store: connection.store,
      definitions: this.sagas.of(connection),
      resolve: (definition) => this.sagas.instanceOf(definition),
      stepTransactions: stepTransactionsOf(connection),
      logger: this.logger,
      clock: this.clock,
      facts: this.observers.facts(connection.name),
      host: hostname(),
      runInContext: ({ sagaId, saga, step, traceparent, tracestate }, work) => {
        const trace = texts({ traceparent, tracestate });
        const fields = texts({ sagaId, saga, step, traceId: traceIdOf(trace) });
        const headers = texts({ [HEADERS.correlationId]: sagaId, [HEADERS.sagaId]: sagaId });
        return withLogFields(fields, () =>
          withTraceOf(trace, () => withHeaders(headers, () => inContextOfItsOwn(work))),
        );
      },
      retention: {
        completed: keep.completed,
        compensated: keep.compensated,
        terminated: keep.terminated,
        partially_committed: keep.partiallyCommitted,
        keys: keep.keys,
      },
      settings: {
        maxInFlight: this.options.engine.maxInFlight,
        maxStarts: this.options.engine.maxStarts,
        maxWaits: this.options.engine.maxWaits,
        ttlMs: this.options.engine.lease,
        maxTransactions: connection.concurrency,
        shutdownMs: drainTimeOf(this.options.shutdownTimeout),
      },
    });
  }
}

function texts<K extends string>(
  fields: Readonly<Record<K, unknown>>,
): Record<string, string> & WorkFields {
  const entries = Object.entries(fields).filter(
    (entry): entry is [string, string] => typeof entry[1] === 'string',
  );
  return Object.fromEntries(entries);
}
