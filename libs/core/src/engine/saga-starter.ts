import {
  checkArguments,
  InvalidArgumentError,
  newSagaIdArgument,
  textArgument,
  type OptionCheck,
} from '../errors/index.js';
import { newId, newNonce } from '../ids.js';
import {
  journalText,
  parseJournal,
  parseTraceParent,
  passableTraceState,
  startKeyProblem,
} from '../messaging/index.js';
import type { Clock, NewSaga, SagaStore, Transaction } from '../ports/index.js';
import type { RepeatedFailures } from '../retry/index.js';
import type { SagaDefinition } from '../saga/index.js';
import type { EngineSettings } from './engine-options.js';
import { IdempotencyConflictError } from './errors.js';
import { settledStart, type SettledStart, StartFlusher, StartLimit } from './flush/index.js';
import { inputDigest } from './input-digest.js';
import { encodeEntry, type SagaEntry, type TraceHeaders } from './journal/index.js';
import { SagaRun, type PendingTransition } from './run/index.js';
import type { RunningSagas } from './running-sagas.js';
import { emptyState, fold } from './state/index.js';

export interface StartOptions {
  /**
   * A second start with the same key and input returns the same saga; one with the same key and another
   * input is refused.
   */
  readonly idempotencyKey?: string;
  /** Default `''`. */
  readonly tenant?: string;
  /**
   * `traceparent` and `tracestate` of the caller (W3C Trace Context). The steps of the saga run in that
   * trace, and its commands carry it.
   */
  readonly trace?: TraceHeaders;
  /**
   * A UUIDv7, since sagas are listed by the time in it; default: a new one. If a saga has this id already,
   * the same start returns that saga and starts nothing; any other start is refused with `IdempotencyConflictError`.
   */
  readonly id?: string;
  /** Starts the saga in this transaction; it begins if and only if that commits. */
  readonly transaction?: Transaction;
  /**
   * With `transaction`: must call its argument after the commit, and only then. If it is absent, the
   * saga begins at the next round of polling.
   */
  readonly afterCommit?: (run: () => void) => void;
}

const CALL = 'The start of a saga';

const asGiven = (): void => undefined;
const START_OPTIONS: Readonly<Record<keyof StartOptions, OptionCheck>> = {
  idempotencyKey: textArgument,
  tenant: textArgument,
  // An invalid trace is left out, since it is no reason to refuse the start.
  trace: asGiven,
  id: newSagaIdArgument,
  transaction: asGiven,
  afterCommit: asGiven,
};

export interface Started {
  readonly id: string;
  /** False while the transaction that starts it is open. */
  readonly committed: () => boolean;
}

/** Starts sagas: in groups with their first steps, or in a transaction of the caller. */
export class SagaStarter {
  readonly #running: RunningSagas;
  readonly #store: Pick<SagaStore, 'start' | 'get'>;
  readonly #flusher: StartFlusher;
  readonly #limit: StartLimit;
  readonly #mayOwn: (definition: SagaDefinition) => boolean;
  readonly #wake: () => void;

  constructor(parts: {
    running: RunningSagas;
    store: Pick<SagaStore, 'start' | 'get'>;
    clock: Clock;
    settings: EngineSettings;
    failures: RepeatedFailures;
    /**
     * Whether this engine can run a saga that it starts: it is started, holds its lease, has room, and
     * knows the definition.
     */
    mayOwn: (definition: SagaDefinition) => boolean;
    /** A saga without an owner was started. */
    wake: () => void;
  }) {
    this.#running = parts.running;
    this.#store = parts.store;
    const { store, clock, settings, failures } = parts;
    const { flushers, flushShare: share, flushGroup: group } = settings;
    this.#flusher = new StartFlusher({ store, clock, failures, flushers, share, group });
    this.#limit = new StartLimit({ clock, ...settings });
    this.#mayOwn = parts.mayOwn;
    this.#wake = parts.wake;
  }

  async start(definition: SagaDefinition, given: unknown, options: StartOptions): Promise<Started> {
    checkArguments(CALL, options, START_OPTIONS);
    checkKey(options);
    // The saga runs on the input that a replay would read, so later changes to the caller's object have
    // no effect.
    const text = journalText(given);
    const input = parseJournal(text);
    // The id is in lower case, as stores write it; in another form it would look like that of another
    // saga.
    const checked =
      options.id === undefined ? options : { ...options, id: options.id.toLowerCase() };
    const { transaction } = checked;
    // In a caller's transaction no step is started, since the transaction may stay open for long and
    // would hold the permits.
    if (transaction !== undefined) return this.#within(definition, input, transaction, checked);
    const leave = await this.#limit.enter(text?.length ?? 0);
    try {
      return await this.#start(definition, input, checked);
    } finally {
      leave();
    }
  }

  /** Refuses further starts, and ends those that wait for the store. */
  close(): void {
    this.#limit.close();
    this.#flusher.close();
  }

  async #start(
    definition: SagaDefinition,
    input: unknown,
    options: StartOptions,
  ): Promise<Started> {
    // A saga with this id is in memory here. Only the store can say whether this is the same start.
    const here = options.id !== undefined && this.#running.knows(options.id);
    const own = !here && this.#mayOwn(definition);
    const run = this.#newRun(definition, input, options);
    if (!own) {
      const saga = this.#newSaga(definition, input, options, run, null, null);
      const outcome = await this.#submit(saga);
      this.#wake();
      return this.#answer(definition, saga, outcome, () => true);
    }
    // The turn is held until the saga is started, so that no transition is decided before.
    void run.turn.take();
    // The saga is added before it is in the store, or the look at the owned sagas would find it and
    // load it twice.
    this.#running.add(run);
    let pending: PendingTransition | null = null;
    let saga: NewSaga;
    let outcome: SettledStart;
    try {
      pending = run.decide();
      saga = this.#newSaga(definition, input, options, run, pending, this.#running.incarnation);
      outcome = await this.#submit(saga);
    } catch (error) {
      run.close('given_back', pending ?? undefined);
      throw error;
    }
    if (outcome.kind === 'started' || outcome.sameStart) this.#begin(run, saga, pending);
    // A saga with the same id may belong to this engine all the same, by another start.
    else run.close('stale', pending ?? undefined);
    return this.#answer(definition, saga, outcome, () => true);
  }

  async #submit(saga: NewSaga): Promise<SettledStart> {
    await this.#running.faults.reach('start.before-commit', saga.id);
    const outcome = await this.#flusher.submit(saga);
    await this.#running.faults.reach('start.after-commit', saga.id);
    return outcome;
  }

  async #within(
    definition: SagaDefinition,
    input: unknown,
    transaction: Transaction,
    options: StartOptions,
  ): Promise<Started> {
    const { afterCommit } = options;
    const run = this.#newRun(definition, input, options);
    // Without a call after the commit this engine could not begin at once, so the saga has no owner and
    // the first engine that polls may run it.
    const own =
      afterCommit !== undefined && this.#mayOwn(definition) ? this.#running.incarnation : null;
    const saga = this.#newSaga(definition, input, options, run, null, own);
    let committed = afterCommit === undefined;
    const [answer] = await this.#store.start([saga], transaction);
    const outcome = settledStart(saga, answer, 0);
    afterCommit?.(() => {
      committed = true;
      if (outcome.kind !== 'started') return;
      // This only saves time: if the call is lost, the regular look at the owned sagas finds the saga.
      if (own === null || own !== this.#running.incarnation) this.#wake();
      else if (!this.#running.knows(run.id)) {
        void run.turn.take();
        this.#running.add(run);
        this.#begin(run, saga, null);
      }
    });
    // An existing saga may have been started by this very transaction, which is still open.
    return this.#answer(definition, saga, outcome, () => committed, transaction);
  }

  async #answer(
    definition: SagaDefinition,
    saga: NewSaga,
    outcome: SettledStart,
    committed: () => boolean,
    transaction?: Transaction,
  ): Promise<Started> {
    if (outcome.kind === 'started') return { id: saga.id, committed };
    if (outcome.id === saga.id && !outcome.sameStart) {
      const there = await this.#store.get(saga.id, transaction);
      const same =
        there?.name === saga.name && there.tenant === saga.tenant && there.key === saga.key;
      if (!same) throw new IdempotencyConflictError(definition.name, null, saga.id);
    }
    if (outcome.inputDigest !== saga.inputDigest) {
      throw new IdempotencyConflictError(definition.name, saga.key, outcome.id);
    }
    return { id: outcome.id, committed };
  }

  /** Makes the run of a saga that is about to be started. */
  #newRun(definition: SagaDefinition, input: unknown, options: StartOptions): SagaRun {
    const state = emptyState();
    fold(state, startedEntry(input, options), this.#running.storeNow());
    const { deadlineMs } = definition;
    return new SagaRun(this.#running, {
      id: options.id ?? newId(),
      tenant: options.tenant ?? '',
      definition,
      state,
      revision: -1,
      format: state.format,
      epoch: 1,
      deadlineAt: deadlineMs === null ? null : this.#running.storeNow() + deadlineMs,
      bytes: 0,
    });
  }

  #newSaga(
    definition: SagaDefinition,
    input: unknown,
    options: StartOptions,
    run: SagaRun,
    pending: PendingTransition | null,
    owner: string | null,
  ): NewSaga {
    const first = startedEntry(input, options);
    return {
      id: run.id,
      tenant: options.tenant ?? '',
      name: definition.name,
      version: definition.version,
      format: pending?.decision.next.format ?? run.state.format,
      key: options.idempotencyKey ?? null,
      inputDigest: inputDigest(input),
      status: pending === null ? 'pending' : 'running',
      owner,
      wakeInMs: owner === null ? 0 : null,
      deadlineInMs: definition.deadlineMs,
      transitionId: pending?.transition.id ?? newNonce(),
      entries: [encodeEntry(first), ...(pending?.transition.entries ?? [])],
      messages: [],
    };
  }

  /** Begins to run a saga whose start is committed and whose turn is held. */
  #begin(run: SagaRun, saga: NewSaga, pending: PendingTransition | null): void {
    this.#running.grew(run, saga.entries.slice(0, 1));
    const { facts } = this.#running;
    if (facts.wants('saga_started')) facts.tell({ kind: 'saga_started', ...run.facts });
    run.begun(pending);
  }
}

/** @throws InvalidArgumentError where the store's index could not hold them */
function checkKey({ tenant = '', idempotencyKey = '' }: StartOptions): void {
  const found = startKeyProblem(tenant, idempotencyKey);
  if (found === null) return;
  const [argument, given] =
    idempotencyKey === '' ? ['tenant', tenant] : ['idempotencyKey', idempotencyKey];
  throw new InvalidArgumentError(
    CALL,
    argument,
    given,
    `Together, ${found.problem}. ${found.remedy}`,
  );
}

function startedEntry(input: unknown, { trace }: StartOptions): SagaEntry {
  const { traceparent, tracestate } = trace ?? {};
  // An invalid trace is no reason to refuse the start, and must not make the journal unreadable.
  if (typeof traceparent !== 'string' || parseTraceParent(traceparent) === undefined) {
    return { kind: 'saga_started', input };
  }
  const state = passableTraceState(tracestate);
  return {
    kind: 'saga_started',
    input,
    trace: { traceparent, ...(state === undefined ? {} : { tracestate: state }) },
  };
}
