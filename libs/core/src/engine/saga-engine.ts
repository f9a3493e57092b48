import { systemClock } from '../clock/index.js';
import { newNonce } from '../ids.js';
import { guardedLogger } from '../observers/index.js';
import {
  DEFAULT_RETENTION,
  noFaults,
  type Clock,
  type RecordedEntry,
  type SagaFilter,
  type SagaSummary,
  type UnservedSagas,
} from '../ports/index.js';
import {
  type AnySaga,
  type SagaClass,
  type SagaDefinition,
  type SagaInputOf,
  type SagaOutputOf,
} from '../saga/index.js';
import { checkDefinitions, checkSettings } from './check-settings.js';
import { ClaimLoop, runnable } from './claim-loop.js';
import {
  DEFAULT_ENGINE_SETTINGS,
  type EngineSettings,
  type SagaEngineOptions,
} from './engine-options.js';
import { EngineTroubles } from './engine-troubles.js';
import { EngineClosedError } from './errors.js';
import { FactStream } from './facts/index.js';
import { TransitionFlusher } from './flush/index.js';
import { OutcomeWatch, SagaHandle } from './handle/index.js';
import { OperatorRequests, type OperatorAnswer } from './operator-requests.js';
import { keepUp } from './keep-up.js';
import { Membership, StoreTime, Upkeep } from './ownership/index.js';
import { latestDefinition } from './latest-definition.js';
import { RunningSagas } from './running-sagas.js';
import { SagaStarter, type StartOptions } from './saga-starter.js';
import { UnservedSagasWatch } from './unserved/index.js';
import { giveBack } from './shutdown.js';
import { storeTransactions } from './step-transactions.js';

/**
 * Runs sagas of one store. Between {@link start} and {@link close} it claims sagas that are due, runs
 * their steps, and adopts the sagas of engines that died.
 */
export class SagaEngine {
  readonly settings: EngineSettings;
  readonly #options: SagaEngineOptions;
  readonly #clock: Clock;
  readonly #time: StoreTime;
  readonly #membership: Membership;
  readonly #flusher: TransitionFlusher;
  readonly #running: RunningSagas;
  readonly #claims: ClaimLoop;
  readonly #watch: OutcomeWatch;
  readonly #starter: SagaStarter;
  readonly #upkeep: Upkeep;
  readonly #troubles: EngineTroubles;
  readonly #requests: OperatorRequests;
  readonly #unserved: UnservedSagasWatch | null;
  #state: 'new' | 'running' | 'closing' | 'closed' = 'new';

  constructor(given: SagaEngineOptions) {
    const logger = guardedLogger(given.logger);
    const options = { ...given, logger };
    this.#options = options;
    const settings = { ...DEFAULT_ENGINE_SETTINGS, ...options.settings };
    this.settings = settings;
    checkSettings(settings);
    checkDefinitions(options.definitions);
    const { store, clock = systemClock, faults = noFaults } = options;
    const facts = options.facts ?? new FactStream({ logger, clock });
    const definitionOf = (name: string, version: number): SagaDefinition | undefined =>
      options.definitions.find((one) => one.name === name && one.version === version);
    this.#requests = new OperatorRequests(store, definitionOf);
    this.#clock = clock;
    this.#time = new StoreTime(clock, store.inbox);
    this.#troubles = new EngineTroubles(clock, logger, facts);
    this.#flusher = new TransitionFlusher({
      store: store.sagas,
      clock,
      failure: this.#troubles.use('Writing transitions of sagas', 20),
      flushers: settings.flushers,
      share: settings.flushShare,
      group: settings.flushGroup,
      facts,
      after: () => faults.reach('transition.after-flush'),
    });
    this.#membership = new Membership({
      engines: store.engines,
      clock,
      logger,
      failure: this.#troubles.use('The heartbeat of the engine', settings.ttlMs / 16),
      ttlMs: settings.ttlMs,
      identity: {
        service: options.service,
        host: options.host ?? '',
        pid: options.pid ?? process.pid,
        runs: runnable(options.definitions),
      },
      moves: () => this.#flusher.unansweredMs() < settings.stuckMs,
      onDeath: async () => {
        const { incarnation } = this.#membership;
        facts.tell({ kind: 'engine_died', incarnation });
        this.#running.closeAll();
      },
      onFence: (fenced) => {
        if (fenced) return;
        this.#running.scheduleAll();
        this.#claims.fill('owned');
      },
      onBurial: (incarnation) => {
        facts.tell({ kind: 'engine_buried', incarnation });
        this.#claims.wake();
      },
      newIncarnation: newNonce,
    });
    this.#running = new RunningSagas({
      service: options.service,
      hearsReplies: options.hearsReplies ?? true,
      settings,
      clock,
      logger,
      faults,
      random: options.random ?? Math.random,
      sagas: store.sagas,
      transactions: options.stepTransactions ?? storeTransactions(store.transactions),
      flusher: this.#flusher,
      resolve: options.resolve,
      runInContext: options.runInContext ?? ((_fields, work) => work()),
      facts,
      reading: this.#troubles.use('Reading outputs of steps', 100),
      definitionOf,
      incarnation: () => this.#membership.incarnation,
      lives: () => this.#membership.lives,
      storeNow: () => this.#time.now(),
      backAt: () => this.#time.at(this.#membership.backAt),
      onEnded: (id, outcome) => {
        this.#watch.ended(id, outcome);
        store.wakeUps.hint('ended', id);
      },
      onGap: (gap) => this.#claims.fill(gap),
    });
    this.#claims = new ClaimLoop({
      store: store.sagas,
      clock,
      failure: this.#troubles.use('Asking the store for work', settings.pollMs),
      wakeUps: store.wakeUps,
      pollMs: settings.pollMs,
      ownedCheckMs: settings.ownedCheckMs,
      definitions: () => runnable(options.definitions),
      incarnation: () => this.#membership.incarnation,
      room: () => (this.#membership.lives ? this.#running.room : 0),
      roomBytes: () => this.#running.roomBytes,
      knows: (id) => this.#running.knows(id) || this.#running.isQuarantined(id),
      onClaimed: (sagas, found) => this.#running.take(sagas, found),
      onMail: (mail) => this.#running.deliver(mail),
      claimed: () => faults.reach('claim.after-commit'),
    });
    this.#upkeep = new Upkeep(clock, this.#troubles);
    const looks = options.looksForUnserved ?? true;
    this.#unserved = looks ? new UnservedSagasWatch({ store: store.sagas, clock, logger }) : null;
    this.#watch = new OutcomeWatch({
      store: store.sagas,
      clock,
      wakeUps: store.wakeUps,
      runsHere: (id) => this.#running.knows(id),
      maxWaits: settings.maxWaits,
      failures: this.#troubles.ofCallers,
    });
    this.#starter = new SagaStarter({
      running: this.#running,
      store: store.sagas,
      clock,
      settings,
      failures: this.#troubles.ofCallers,
      // It could start a saga of another definition, but not go on with it after a wait.
      mayOwn: (saga) => this.#mayStart() && options.definitions.includes(saga),
      wake: () => {
        this.#claims.wake();
        store.wakeUps.hint('saga');
      },
    });
  }

  /** The id under which the engine owns sagas; changes when it was declared dead and came back. */
  get incarnation(): string {
    return this.#membership.incarnation;
  }

  /** How many sagas are in memory in this process. */
  get sagasHere(): number {
    return this.#running.size;
  }

  /** How many steps are running in this process. */
  get stepsRunning(): number {
    return this.#running.permits.running;
  }

  /** Whether the engine is up and its heartbeat is recent. For readiness probes. */
  get healthy(): boolean {
    return this.#state === 'running' && this.#membership.lives;
  }

  /** A use of the store that fails at present, in words; null: none fails. For readiness probes. */
  get problem(): string | null {
    return this.#troubles.problem ?? this.#running.refusals.problem;
  }

  /** Due sagas of this store that no living engine runs, as the latest look found them. */
  get unserved(): readonly UnservedSagas[] {
    return this.#unserved?.found ?? [];
  }

  /** Registers the engine and begins to work. Rejects when the store cannot be reached. */
  async run(): Promise<void> {
    if (this.#state !== 'new') throw new EngineClosedError();
    await this.#time.measure();
    await this.#membership.join();
    this.#state = 'running';
    this.#claims.start();
    const { store, retention = DEFAULT_RETENTION } = this.#options;
    keepUp(this.#upkeep, this.#time, store.sagas, retention);
    this.#unserved?.start();
  }

  /**
   * Shuts the engine down. It takes no more work, ends the waits for outcomes at once, lets running
   * steps end for at most `shutdownMs`, gives the rest back, and retires. A step that was given back
   * does not count as crashed.
   */
  async close(): Promise<void> {
    if (this.#state === 'closed' || this.#state === 'closing') return;
    const ran = this.#state === 'running';
    this.#state = 'closing';
    this.#unserved?.stop();
    // A caller that waits for a saga which goes on in another process would delay the shutdown.
    this.#watch.close();
    if (ran) {
      // Timers of a clock do not keep the process alive, but returned sagas must still be committed.
      const alive = setInterval(() => undefined, 1_000);
      try {
        await giveBack({
          running: this.#running,
          claims: this.#claims,
          membership: this.#membership,
          clock: this.#clock,
          logger: this.#options.logger,
          shutdownMs: this.settings.shutdownMs,
        });
      } finally {
        clearInterval(alive);
      }
    }
    this.#upkeep.close();
    this.#starter.close();
    this.#flusher.close();
    this.#running.close();
    this.#state = 'closed';
  }

  /**
   * Ends the waits for outcomes at once, by a `SagaWaitEndedError`, and refuses further ones. Sagas are
   * still started and run until {@link close}. Meant for the beginning of a shutdown, which a caller
   * that waits for a saga in another process would delay.
   */
  endWaits(): void {
    this.#watch.close();
  }

  /**
   * Starts a saga.
   *
   * @throws IdempotencyConflictError, UnknownSagaError, UnserializableValueError,
   * StartQueueFullError, EngineClosedError
   */
  start<S extends AnySaga>(
    saga: SagaClass<S>,
    input: NoInfer<SagaInputOf<S>>,
    options?: StartOptions,
  ): Promise<SagaHandle<SagaOutputOf<S>>>;
  start(saga: SagaDefinition, input: unknown, options?: StartOptions): Promise<SagaHandle<unknown>>;
  async start(
    saga: SagaClass | SagaDefinition,
    input: unknown,
    options: StartOptions = {},
  ): Promise<SagaHandle<unknown>> {
    if (this.#state === 'closed') throw new EngineClosedError();
    const { id, committed } = await this.#starter.start(
      latestDefinition(this.#options.definitions, saga),
      input,
      options,
    );
    return new SagaHandle(id, this.#watch, this.#clock, committed);
  }

  /** Returns a handle to a saga that was started before, wherever it runs. */
  handle(id: string): SagaHandle<unknown> {
    return new SagaHandle(id, this.#watch, this.#clock);
  }

  get(id: string): Promise<SagaSummary | null> {
    return this.#options.store.sagas.get(id);
  }

  find(filter: SagaFilter = {}): Promise<readonly SagaSummary[]> {
    return this.#options.store.sagas.find(filter);
  }

  /** Reads everything that happened to a saga, in order. */
  history(id: string): Promise<readonly RecordedEntry[]> {
    return this.#options.store.sagas.history(id);
  }

  /**
   * Asks a saga to stop and undo what it did, also while it waits for the siblings of a step that
   * failed. If a recovery has given up behind the point of no return, the saga goes on without it.
   * Otherwise a saga behind that point, or one that is undoing already, does nothing, and the answer
   * says why. Entries of its journal name the `actor`, the one who asks; `''`: no one is named.
   *
   * @throws SagaNotFoundError
   * @throws SagaEndedError when it has ended
   */
  cancel(id: string, reason = '', actor = ''): Promise<OperatorAnswer> {
    return this.#requests.put(id, 'cancel', reason, actor);
  }

  /**
   * Lets a saga that needs attention go on where it stopped. In any other saga, tasks that wait for
   * their next attempt are tried at once, with all their attempts, and a running undo or recovery is
   * aborted and begins again. A running step is left to its time limit. If no task waits for an
   * attempt, the saga does nothing, and the answer says why.
   *
   * @throws SagaNotFoundError
   * @throws SagaEndedError when it has ended
   */
  retry(id: string, reason = '', actor = ''): Promise<OperatorAnswer> {
    return this.#requests.put(id, 'retry', reason, actor);
  }

  /** Ends a saga as it is; nothing is undone. @throws SagaNotFoundError, SagaEndedError */
  terminate(id: string, reason = '', actor = ''): Promise<OperatorAnswer> {
    return this.#requests.put(id, 'terminate', reason, actor);
  }

  #mayStart(): boolean {
    return this.#state === 'running' && this.#running.room > 0 && this.#running.mayStart();
  }
}
