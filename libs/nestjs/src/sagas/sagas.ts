import { Inject, Injectable } from '@nestjs/common';
import {
  historyData,
  SagaNotFoundError,
  type AnySaga,
  type EntryPlace,
  type OperatorAnswer,
  type SagaClass,
  type SagaEngine,
  type SagaFilter,
  type SagaHandle,
  type SagaInputOf,
  type SagaOutputOf,
  checkSagaFilter,
  proseArgument,
  requireObject,
} from '@sagaz/core';
import type { EntityManager } from 'typeorm';
import {
  Connections,
  detached,
  type Connection,
  type EnlistedTransaction,
} from '../enlist/index.js';
import { traceHeaders } from '../outbox/index.js';
import { Engines } from './engines.js';
import { SagaConnectionError } from './errors.js';
import { SagaSet } from './saga-set.js';
import { historyOf, viewsOf, type SagaHistoryEntry, type SagaView } from './saga-view.js';
import { checkStart, checkStatuses } from './start-checks.js';

/** Options of {@link Sagas.start}. */
export interface StartSagaOptions {
  /**
   * Starts with the same key and input return the same saga, however many callers make them at once;
   * the same key with another input is refused. Unique per tenant and saga name.
   */
  readonly idempotencyKey?: string;
  /** The tenant of the saga. Default `''`, for applications with one tenant. */
  readonly tenant?: string;
  /** A manager with a transaction open. Default: the ambient transaction, if there is one. */
  readonly manager?: EntityManager;
  /** Starts the saga at once, even if the ambient transaction is rolled back. Default false. */
  readonly standalone?: boolean;
}

/** The filter of {@link Sagas.find}. A property that is left out does not limit the list. */
export interface FindSagasOptions extends SagaFilter {
  /** The connection whose sagas are listed. Default: the main one. */
  readonly connection?: string;
}

/** Starts and follows sagas, and lets a person operate on them. */
@Injectable()
export class Sagas {
  constructor(
    @Inject(SagaSet) private readonly set: SagaSet,
    @Inject(Engines) private readonly engines: Engines,
    @Inject(Connections) private readonly connections: Connections,
  ) {}

  /**
   * Starts a saga: in the transaction of `manager`, else in the ambient one of the saga's connection
   * (it begins if and only if that commits), else at once.
   *
   * ```ts
   * const handle = await sagas.start(PlaceOrderSaga, order, { idempotencyKey: order.id });
   * const end = await handle.outcome({ timeout: '30s' }); // after the commit
   * ```
   *
   * @throws IdempotencyConflictError when the key was used with another input
   * @throws InvalidStartError, UnknownSagaError, UnserializableValueError, NoTransactionError, SagaConnectionError
   */
  async start<S extends AnySaga>(
    saga: SagaClass<S>,
    input: NoInfer<SagaInputOf<S>>,
    options: StartSagaOptions = {},
  ): Promise<SagaHandle<SagaOutputOf<S>>> {
    checkStart(saga, options);
    const definition = this.set.definitionOf(saga);
    const connection = this.set.connectionOf(definition);
    const engine = this.engines.of(connection);
    const { idempotencyKey, tenant, manager, standalone } = options;
    const trace = traceHeaders();
    const given = {
      ...(idempotencyKey === undefined ? {} : { idempotencyKey }),
      ...(tenant === undefined ? {} : { tenant }),
      ...(trace['traceparent'] === undefined ? {} : { trace }),
    };
    const action = `start the saga '${definition.name}'`;
    let enlisted: EnlistedTransaction | undefined;
    if (manager !== undefined) {
      const found = this.connections.find({ manager }, action);
      if (found !== undefined && found.connection !== connection) {
        throw new SagaConnectionError(definition.name, connection.name, found.connection.name);
      }
      enlisted = found?.enlisted;
    } else if (standalone !== true) enlisted = connection.current(action);
    if (enlisted === undefined) return detached(() => engine.start(saga, input, given));
    const joined = enlisted;
    return joined.write(action, (transaction) =>
      engine.start(saga, input, {
        ...given,
        transaction,
        afterCommit: (run) => joined.afterCommit(run),
      }),
    );
  }

  /** Returns a handle to a saga that was started before, wherever it runs. */
  async handle(id: string): Promise<SagaHandle<unknown>> {
    return (await this.#engineOf(id)).handle(id);
  }

  /** Returns a saga with its position and the events it waits for; null: there is none with this id. */
  async get(id: string): Promise<SagaView | null> {
    for (const { store } of this.connections.all) {
      const found = await store.sagas.get(id);
      if (found !== null) return (await viewsOf(store.sagas, [found]))[0] ?? null;
    }
    return null;
  }

  /**
   * Lists sagas, newest first. Each has the reason why it needs a person or does not go forward, the
   * step that the reason is about, and the events it waits for. @throws InvalidSagaFilterError,
   * InvalidArgumentError
   */
  async find(options: FindSagasOptions = {}): Promise<readonly SagaView[]> {
    requireObject('Sagas.find', options, 'Give a filter such as { statuses }, or nothing.');
    const { connection, ...filter } = options;
    checkStatuses(filter.statuses);
    checkSagaFilter(filter);
    const { store } =
      connection === undefined ? this.connections.main : this.connections.get(connection);
    return viewsOf(store.sagas, await store.sagas.find(filter));
  }

  /**
   * Returns everything that happened to a saga, in order and decoded.
   *
   * @param options with `largeOutputs: 'leave'`, outputs of more than about 2 kB are left in the store; `data` is
   * then null, `apart` says their size in bytes, and {@link historyData} reads one. Default `'read'`.
   * @throws SagaNotFoundError
   */
  async history(
    id: string,
    options: { readonly largeOutputs?: 'read' | 'leave' } = {},
  ): Promise<readonly SagaHistoryEntry[]> {
    const { largeOutputs = 'read' } = options;
    const { sagas } = (await this.#connectionOf(id)).store;
    return historyOf(await sagas.history(id, { onDemand: largeOutputs }));
  }

  /**
   * Returns the decoded data of one entry that {@link history} left in the store; null: the store has none at
   * this place.
   *
   * @throws SagaNotFoundError
   */
  async historyData(id: string, { revision, ordinal }: EntryPlace): Promise<unknown> {
    const { sagas } = (await this.#connectionOf(id)).store;
    const [data = null] = await sagas.dataOf(id, [{ revision, ordinal }]);
    return historyData(data);
  }

  /**
   * Asks a saga to stop and to undo what it did, also while it waits for the siblings of a step that
   * failed. If a recovery has given up behind the point of no return, the saga goes on without it.
   * Otherwise a saga behind that point, or one that is undoing already, does nothing, and the answer
   * says why.
   *
   * @param reason - why, for its history and its outcome; default none
   * @param actor - the one who asks, such as a user's name, for its history; default none
   * @throws SagaNotFoundError
   * @throws SagaEndedError when it has ended
   */
  async cancel(id: string, reason?: string, actor?: string): Promise<OperatorAnswer> {
    proseArgument('Sagas.cancel', 'reason', reason);
    proseArgument('Sagas.cancel', 'actor', actor);
    return (await this.#engineOf(id)).cancel(id, reason, actor);
  }

  /**
   * Lets a saga that needs attention go on where it stopped. In any other saga, tasks that wait for
   * their next attempt are tried at once, with all their attempts, and a running undo or recovery is
   * aborted and begins again. A running step is left to its time limit. If no task waits for an
   * attempt, the saga does nothing, and the answer says why.
   *
   * @param reason - why, for its history; default none
   * @param actor - the one who asks, for its history; default none
   * @throws SagaNotFoundError
   * @throws SagaEndedError when it has ended
   */
  async retry(id: string, reason?: string, actor?: string): Promise<OperatorAnswer> {
    proseArgument('Sagas.retry', 'reason', reason);
    proseArgument('Sagas.retry', 'actor', actor);
    return (await this.#engineOf(id)).retry(id, reason, actor);
  }

  /**
   * Ends a saga as it is; nothing is undone.
   *
   * @param reason - why, for its history and its outcome; default none
   * @param actor - the one who asks, for its history; default none
   * @throws SagaNotFoundError, SagaEndedError
   */
  async terminate(id: string, reason?: string, actor?: string): Promise<OperatorAnswer> {
    proseArgument('Sagas.terminate', 'reason', reason);
    proseArgument('Sagas.terminate', 'actor', actor);
    return (await this.#engineOf(id)).terminate(id, reason, actor);
  }

  async #engineOf(id: string): Promise<SagaEngine> {
    return this.engines.of(await this.#connectionOf(id));
  }

  async #connectionOf(id: string): Promise<Connection> {
    for (const connection of this.connections.all) {
      if ((await connection.store.sagas.get(id)) !== null) return connection;
    }
    throw new SagaNotFoundError(id);
  }
}
