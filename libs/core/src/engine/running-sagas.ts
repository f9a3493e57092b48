import { errorText } from '../errors/index.js';
import {
  entryBytes,
  type Clock,
  type FaultPoints,
  type JournalEntry,
  type LoadedSaga,
  type LogFields,
  type Logger,
  type Mail,
  type SagaStore,
} from '../ports/index.js';
import type { SagaDefinition } from '../saga/index.js';
import type { EngineSettings } from './engine-options.js';
import type { FactStream } from './facts/index.js';
import type { TransitionFlusher } from './flush/index.js';
import type { SagaOutcome } from './handle/index.js';
import { readJournal, UnreadableJournalError } from './journal/index.js';
import type { RunningSagasOptions } from './running-sagas-options.js';
import { UnreadableSagas, parkedUnread, startOf, type UnreadableSaga } from './unreadable-sagas.js';
import {
  Timers,
  Attempts,
  ConnectionShortage,
  ConcurrencyPermits,
  SagaRun,
  StepRefusals,
  StoredOutputs,
  tellClaim,
  type Attempt,
  type ClosedBecause,
  type EngineContext,
} from './run/index.js';
import { emptyState, fold } from './state/index.js';
import type { StepTransactions } from './step-transactions.js';

const NO_ATTEMPTS = new Attempts();

/** The bytes of journals from which on no further saga is taken; in memory it is a few times as much. */
const MOST_BYTES = 64 * 1_024 * 1_024;

/** The sagas that run in this process. */
export class RunningSagas implements EngineContext {
  readonly service: string;
  readonly hearsReplies: boolean;
  readonly settings: EngineSettings;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly facts: FactStream;
  readonly faults: FaultPoints;
  readonly random: () => number;
  readonly sagas: SagaStore;
  readonly transactions: StepTransactions;
  readonly flusher: TransitionFlusher;
  readonly permits: ConcurrencyPermits;
  readonly timers: Timers;
  readonly connections: ConnectionShortage;
  readonly refusals: StepRefusals;
  readonly outputs: StoredOutputs;
  readonly #options: RunningSagasOptions;
  readonly #runs = new Map<string, SagaRun>();
  readonly #orphans = new Map<string, Attempts>();
  readonly #unreadable: UnreadableSagas;
  #bytes = 0;
  #draining = false;
  readonly #emptied: (() => void)[] = [];

  constructor(options: RunningSagasOptions) {
    this.#options = options;
    this.service = options.service;
    this.hearsReplies = options.hearsReplies;
    this.settings = options.settings;
    this.clock = options.clock;
    this.logger = options.logger;
    this.facts = options.facts;
    this.faults = options.faults;
    this.random = options.random;
    this.sagas = options.sagas;
    this.transactions = options.transactions;
    this.flusher = options.flusher;
    this.permits = new ConcurrencyPermits(
      options.settings.maxInFlight,
      options.settings.maxTransactions,
    );
    this.timers = new Timers(options.clock);
    this.connections = new ConnectionShortage({
      permits: this.permits,
      timers: this.timers,
      clock: options.clock,
      logger: options.logger,
      transactions: options.transactions,
      maxTransactions: options.settings.maxTransactions,
    });
    this.refusals = new StepRefusals({
      clock: options.clock,
      logger: options.logger,
      facts: options.facts,
    });
    this.outputs = new StoredOutputs({
      store: options.sagas,
      clock: options.clock,
      failure: options.reading,
    });
    this.#unreadable = new UnreadableSagas({
      logger: options.logger,
      flusher: options.flusher,
      incarnation: options.incarnation,
      storeNow: options.storeNow,
      facts: options.facts,
      store: options.sagas,
      take: (loaded) => this.take(loaded, 'owned'),
      onParked: options.onEnded,
    });
  }

  get incarnation(): string {
    return this.#options.incarnation();
  }

  get draining(): boolean {
    return this.#draining;
  }

  get size(): number {
    return this.#runs.size;
  }

  /** How many more sagas this process can take. */
  get room(): number {
    return this.#draining || this.#full ? 0 : this.settings.maxSagas - this.#runs.size;
  }

  /** How many more bytes of journals this process can take. */
  get roomBytes(): number {
    return MOST_BYTES - this.#bytes;
  }

  get #full(): boolean {
    return this.#runs.size >= this.settings.maxSagas || this.#bytes >= MOST_BYTES;
  }

  knows(id: string): boolean {
    return this.#runs.has(id);
  }

  /** Whether this engine has found that it cannot run the saga, so that it need not load it again. */
  isQuarantined(id: string): boolean {
    return this.#unreadable.has(id);
  }

  storeNow(): number {
    return this.#options.storeNow();
  }

  get backAt(): number {
    return this.#options.backAt();
  }

  mayStart(): boolean {
    return !this.#draining && this.#options.lives();
  }

  resolve(definition: SagaDefinition): object {
    return this.#options.resolve(definition);
  }

  runInContext<T>(fields: LogFields, work: () => T): T {
    return this.#options.runInContext(fields, work);
  }

  /** Adds a saga that was started here, or taken. */
  add(run: SagaRun): void {
    this.#runs.set(run.id, run);
    this.#bytes += run.bytes;
  }

  grew(run: SagaRun, entries: readonly JournalEntry[]): void {
    const bytes = entryBytes(entries);
    run.bytes += bytes;
    if (this.#runs.get(run.id) === run) this.#bytes += bytes;
  }

  /** Takes sagas that were claimed, or that this engine was found to own. */
  take(loaded: readonly LoadedSaga[], found: 'claimed' | 'owned'): void {
    for (const saga of loaded) {
      const old = this.#runs.get(saga.id);
      if (old !== undefined) {
        // The saga was claimed again while it still runs here: the store's newer epoch counts.
        if (old.epoch === saga.epoch) continue;
        old.close('lost');
      }
      this.#takeOne(saga, found);
    }
  }

  deliver(mail: readonly Mail[]): void {
    for (const letter of mail) {
      const run = this.#runs.get(letter.sagaId);
      if (run !== undefined) run.receive(letter);
      // It may stay unread for good, and must not lead to another look at the store.
      else if (this.isQuarantined(letter.sagaId)) this.#unreadable.receive(letter);
      else if (!this.#full) {
        // A full engine would look for the saga, find no room for it, and read its mail again and again.
        this.#options.onGap('owned');
        // It may have been given back since the mail was read.
        this.#options.onGap({ mailOf: letter.sagaId });
      }
    }
  }

  scheduleAll(): void {
    for (const run of [...this.#runs.values()]) run.schedule();
  }

  /** Closes all runs, because this incarnation was declared dead and others have its sagas. */
  closeAll(): void {
    for (const run of [...this.#runs.values()]) run.close('lost');
    this.#unreadable.clear();
  }

  /** Starts nothing any more, and gives back the sagas of which nothing is running. */
  drain(): void {
    this.#draining = true;
    this.scheduleAll();
  }

  abortAll(): void {
    for (const run of [...this.#runs.values()]) run.abortAll('shutdown');
  }

  /** Resolves when no saga is left in this process. */
  emptied(): Promise<void> {
    if (this.#runs.size === 0) return Promise.resolve();
    return new Promise((resolve) => this.#emptied.push(resolve));
  }

  /** Reports the running attempts as given back, since the process cannot wait any longer. */
  releaseAll(): void {
    for (const run of [...this.#runs.values()]) run.releaseAll();
  }

  /** Nothing is decided or waited for after this, and the transactions of all attempts end. */
  close(): void {
    this.releaseAll();
    for (const attempts of [...this.#orphans.values()]) attempts.releaseAll();
    this.connections.close();
    this.timers.close();
  }

  mailWaits(): void {
    this.#options.onGap('claim');
  }

  orphan(attempt: Attempt): void {
    // An abandoned attempt has had its time. It is not waited for, since it may never settle.
    if (attempt.settled || attempt.abandoned) return;
    const { id } = attempt.run;
    const orphans = this.#orphans.get(id) ?? new Attempts();
    orphans.add(attempt);
    this.#orphans.set(id, orphans);
  }

  orphanMoved(attempt: Attempt): void {
    const { id } = attempt.run;
    if (attempt.settled || attempt.abandoned) {
      const orphans = this.#orphans.get(id);
      orphans?.delete(attempt);
      if (orphans?.empty === true) this.#orphans.delete(id);
    }
    // The saga may have been loaded here again, and wait for this attempt.
    this.#runs.get(id)?.schedule();
  }

  orphansOf(sagaId: string): Attempts {
    return this.#orphans.get(sagaId) ?? NO_ATTEMPTS;
  }

  closed(run: SagaRun, why: ClosedBecause): void {
    const full = this.#full;
    if (this.#runs.get(run.id) === run && this.#runs.delete(run.id)) {
      this.#bytes -= run.bytes;
      this.outputs.forget(run.id);
    }
    if (why === 'mail_waits') this.#options.onGap({ mailOf: run.id });
    else if (full) this.#options.onGap('claim');
    if (why === 'stale') this.#options.onGap('owned');
    if (this.#runs.size === 0) for (const resolve of this.#emptied.splice(0)) resolve();
  }

  ended(run: SagaRun, outcome: SagaOutcome<unknown>): void {
    this.#options.onEnded(run.id, outcome);
  }

  quarantine(saga: UnreadableSaga, error: unknown): void {
    const detail = error instanceof UnreadableJournalError ? error.detail : errorText(error);
    this.#unreadable.quarantine(saga, 'journal_unreadable', detail, error);
  }

  #takeOne(saga: LoadedSaga, found: 'claimed' | 'owned'): void {
    const definition = this.#options.definitionOf(saga.name, saga.version);
    if (definition === undefined) {
      const detail = `This engine has no definition of ${saga.name}, version ${saga.version}.`;
      const startedAt = startOf(saga.entries);
      this.#unreadable.quarantine(
        { ...saga, startedAt, parked: false },
        'definition_changed',
        detail,
      );
      return;
    }
    const state = emptyState();
    try {
      for (const { entry, at } of readJournal(saga.entries, saga.revision)) fold(state, entry, at);
    } catch (error) {
      const startedAt = startOf(saga.entries);
      this.quarantine({ ...saga, startedAt, parked: parkedUnread(saga.entries) }, error);
      return;
    }
    this.#unreadable.forget(saga.id);
    const run = new SagaRun(this, {
      id: saga.id,
      tenant: saga.tenant,
      definition,
      state,
      revision: saga.revision,
      format: saga.format,
      epoch: saga.epoch,
      deadlineAt: saga.deadlineInMs === null ? null : this.storeNow() + saga.deadlineInMs,
      bytes: entryBytes(saga.entries),
    });
    this.add(run);
    tellClaim(this, run, found);
    run.enqueue({ kind: 'adopted', from: saga.adoptedFrom });
    for (const letter of saga.mail) run.receive(letter);
  }
}
