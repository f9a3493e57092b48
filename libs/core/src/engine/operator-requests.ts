import { isFinal, type SagaStatus } from '../ports/index.js';
import type { SagaDefinition } from '../saga/index.js';
import { answerTo, controlMail, type OperatorRequest, type RequestAnswer } from './decide/index.js';
import type { EngineStore } from './engine-options.js';
import { SagaEndedError, SagaNotFoundError } from './errors.js';
import { readJournal, UnreadableJournalError } from './journal/index.js';
import { emptyState, fold, type SagaState } from './state/index.js';

/** The answer to a request that an operator made of a saga which has not ended. */
export type OperatorAnswer = RequestAnswer & {
  readonly sagaId: string;
  readonly request: OperatorRequest;
  /** The status of the saga at the moment of the request. */
  readonly status: SagaStatus;
};

/** Makes requests of operators to sagas, wherever those run, and returns what the sagas will do. */
export class OperatorRequests {
  readonly #store: Pick<EngineStore, 'sagas' | 'wakeUps'>;
  readonly #definitionOf: (name: string, version: number) => SagaDefinition | undefined;

  constructor(
    store: Pick<EngineStore, 'sagas' | 'wakeUps'>,
    definitionOf: (name: string, version: number) => SagaDefinition | undefined,
  ) {
    this.#store = store;
    this.#definitionOf = definitionOf;
  }

  /** @throws SagaNotFoundError, SagaEndedError */
  async put(
    sagaId: string,
    request: OperatorRequest,
    reason: string,
    actor: string,
  ): Promise<OperatorAnswer> {
    const { sagas, wakeUps } = this.#store;
    const saga = await sagas.get(sagaId);
    if (saga === null) throw new SagaNotFoundError(sagaId);
    const { status, name, version } = saga;
    if (isFinal(status)) throw new SagaEndedError(sagaId, request, status);
    const state = await this.#stateOf(sagaId);
    if (state?.phase === 'ended') {
      throw new SagaEndedError(sagaId, request, state.end?.status ?? 'terminated');
    }
    // A journal that cannot be read here may be readable in the process that runs the saga.
    const answer: RequestAnswer =
      state === null
        ? { acts: true, effect: 'is read again, and does what it then can' }
        : answerTo(request, state, this.#definitionOf(name, version));
    // A request that the saga would ignore is not stored.
    if (!answer.acts) return { sagaId, request, status, ...answer };
    await sagas.putMail([controlMail(sagaId, { name, version }, request, reason, actor)]);
    wakeUps.hint('saga');
    return { sagaId, request, status, ...answer };
  }

  /** Reads the state of a saga; null: its journal cannot be read here. */
  async #stateOf(id: string): Promise<SagaState | null> {
    const state = emptyState();
    try {
      const recorded = await this.#store.sagas.history(id, { onDemand: 'leave' });
      const revision = recorded.at(-1)?.revision ?? 0;
      for (const { entry, at } of readJournal(recorded, revision)) fold(state, entry, at);
    } catch (error) {
      if (error instanceof UnreadableJournalError) return null;
      throw error;
    }
    return state;
  }
}
