import { isCommand, journalText, parseJournal } from '../../messaging/index.js';
import { classify } from '../../retry/index.js';
import { StepAbortedError } from '../errors.js';
import {
  methodOf,
  type AttemptResult,
  type PlannedStart,
  type SagaEvent,
} from '../decide/index.js';
import type { AttemptOutcome } from '../facts/index.js';
import { errorRecord, taskRef, type StoredOutput } from '../journal/index.js';
import type { TransactionPlace } from '../step-transactions.js';
import { isAboutValue } from './about-value.js';
import { outcomeOf, type AbortReason } from './attempt-outcome.js';
import { outputsReadBy } from './attempt-outputs.js';
import { AttemptTeller } from './attempt-teller.js';
import { callMethod } from './call-method.js';
import { ConnectionWait } from './connection-wait.js';
import { HeldTurn } from './held-turn.js';
import type { EngineContext } from './engine-context.js';
import { preparedCommand } from './prepared-command.js';
import type { SagaRun } from './saga-run.js';
import type { LentOutputs } from './stored-outputs.js';
import { TimeLimit } from './time-limit.js';

/**
 * One attempt of a step, compensation or recovery in this process. It is reported exactly once: when it
 * settles, or when it was aborted and the time in which it should stop is over. A result after that is
 * late.
 */
export class Attempt {
  #controller: AbortController | null = null;
  /** Whether its promise has settled. */
  settled = false;
  /** Whether it was reported without having settled. */
  abandoned = false;
  aborted: AbortReason | null = null;
  readonly turn: HeldTurn;
  readonly teller: AttemptTeller;
  readonly #limit: TimeLimit;
  /** Aborted to end the wait for a connection, or the transaction that hangs on one. */
  readonly unwanted = new AbortController();
  readonly connection: ConnectionWait;
  /** Whether its method is running, or its work is being committed. */
  #working: boolean;
  #stopBound: (() => void) | null = null;
  #permitFreed = false;
  #outputs: LentOutputs | null = null;

  constructor(
    readonly engine: EngineContext,
    readonly run: SagaRun,
    readonly start: PlannedStart,
    readonly epoch: number,
    readonly transactional: boolean,
    timeoutMs: number | null,
  ) {
    this.teller = new AttemptTeller(engine, run.facts, start);
    this.connection = new ConnectionWait(engine);
    this.turn = new HeldTurn(run.turn, () => run.endTurn(), engine.timers);
    this.#limit = new TimeLimit(engine.timers, engine.clock, timeoutMs, () =>
      this.abort('timeout'),
    );
    this.#working = !transactional;
    if (this.#working) this.#limit.run();
  }

  /** The signal for the method; created on first use, since most methods never look at it. */
  get signal(): AbortSignal {
    this.#controller ??= new AbortController();
    return this.#controller.signal;
  }

  /** Asks the method to stop, and waits for that for a bounded time. */
  abort(reason: AbortReason): void {
    if (this.settled || this.abandoned || this.aborted !== null) return;
    this.aborted = reason;
    this.#stop(reason);
    if (!this.#working) {
      // Its method is not running, so there is nothing to wait for.
      this.turn.end();
      this.#withdraw(reason);
      return;
    }
    // A shutdown has a time limit of its own and gives running attempts back at its end, so that no
    // step fails because of a deployment.
    if (reason === 'shutdown') return;
    // An attempt that may not commit any more has no use for the turn.
    this.turn.end();
    this.#stopBound = this.engine.timers.set(this.engine.settings.settleBoundMs, () => {
      if (this.settled || this.abandoned) return;
      // A transaction that has not ended by now does not commit any more, so there is no doubt.
      this.#abandon();
      const doubt = !this.transactional;
      const error = errorRecord(new StepAbortedError(this.start.step, reason));
      this.#report(
        reason === 'restarted'
          ? { kind: 'released', doubt }
          : { kind: 'failed', error, doubt, final: reason === 'given_up' },
        reason === 'timeout' ? 'timed_out' : 'aborted',
      );
    });
  }

  /**
   * Reports the attempt as given back, because the process ends and cannot wait. It may still have its
   * effect.
   */
  release(): void {
    if (this.settled || this.abandoned) return;
    this.aborted ??= 'shutdown';
    this.#abandon();
    // The turn is freed, or the report could not be journaled.
    this.turn.end();
    this.#report({ kind: 'released', doubt: !this.transactional }, 'aborted');
  }

  /** Runs the method outside a transaction, and reports. Never rejects. */
  async runPlain(): Promise<void> {
    const { start, engine } = this;
    const point = start.role === 'compensation' ? 'compensation' : 'step';
    try {
      const ready = this.readOutputs();
      if (ready !== true && !(await ready)) return;
      this.teller.began();
      await engine.faults.reach(`${point}.before-invoke`, start.step);
      const value: unknown = await callMethod(this, undefined);
      await engine.faults.reach(`${point}.after-invoke`, start.step);
      const result = await this.resultOf(value);
      this.settle(result);
    } catch (error) {
      this.settle(this.failure(error));
    }
  }

  /**
   * Reads the outputs in the store that the method may ask for; true: there are none. Until they are there, the
   * method is not running, and its time limit does not run. False: the attempt has ended meanwhile.
   */
  readOutputs(): true | Promise<boolean> {
    const { run, start } = this;
    const step = run.definition.steps.get(start.step);
    const method = step === undefined ? null : methodOf(step, start.role);
    const wanted = method === null ? [] : outputsReadBy(method, run.state);
    return wanted.length === 0 || this.#read(wanted);
  }

  async #read(wanted: readonly StoredOutput[]): Promise<boolean> {
    const { run, engine, transactional } = this;
    this.#limit.pause();
    this.#working = false;
    try {
      this.#outputs = await engine.outputs.lend(run.id, wanted, () => this.#mayBegin);
    } catch (error) {
      run.cannotRead(error);
    }
    if (!this.#mayBegin) {
      this.#outputs?.release();
      this.settle({ kind: 'released', doubt: false });
      return false;
    }
    this.#working = !transactional;
    if (this.#working) this.#limit.run();
    return true;
  }

  /** The data of an output that was in the store when the attempt began, or is at hand. */
  readonly textOf = (output: StoredOutput): string | undefined =>
    this.#outputs?.textOf(output) ?? this.engine.outputs.textOf(this.run.id, output);

  get #mayBegin(): boolean {
    return this.aborted === null && !this.abandoned && !this.run.closed;
  }

  /**
   * The attempt waits for a connection from now on; its time limit does not run meanwhile. If the wait
   * takes too long, the attempt is given back, since its method was not called.
   */
  awaitConnection(): TransactionPlace | undefined {
    return this.connection.begin(() => {
      if (this.settled || this.abandoned) return;
      this.connection.missed();
      this.#withdraw('shutdown');
    });
  }

  /** The attempt has got a connection. False: it may not begin any more. */
  connected(): boolean {
    this.connection.got();
    const { aborted, abandoned, run, engine } = this;
    if (aborted !== null || abandoned || run.closed || engine.draining) return false;
    this.#working = true;
    this.teller.began();
    this.#limit.run();
    return true;
  }

  /** Its method has returned. The waits that follow do not count towards its time limit. */
  worked(): void {
    this.#limit.renew();
  }

  /** Its transaction has ended without a commit. It may run again. */
  rests(): void {
    this.connection.end();
    this.#limit.pause();
    this.#working = !this.transactional;
  }

  /** Waits before the attempt runs again. */
  pause(ms: number): Promise<void> {
    return new Promise((resolve) => this.engine.clock.after(ms, resolve));
  }

  /** The transaction is about to commit; its outcome decides from here on. */
  finishing(): void {
    this.run.setAside(this);
  }

  /** The transaction was rolled back and runs once more, so the method can hang again or be aborted. */
  again(): void {
    this.run.putBack(this);
  }

  /** Its result is in the journal already. */
  committed(): void {
    this.settled = true;
    this.#stopBound?.();
    this.#freePermit();
    this.teller.ended('completed');
  }

  /** Makes a result from the value that the method returned. Throws if the value cannot be stored. */
  async resultOf(value: unknown): Promise<AttemptResult> {
    if (isCommand(value)) return preparedCommand(this, value);
    // A value that cannot be stored is refused here, before it would fail a flush that other sagas
    // share.
    const text = journalText(value);
    // The copy is what a replay would read, so later changes to the method's object have no effect.
    const output: unknown = typeof value === 'object' ? parseJournal(text) : value;
    return { kind: 'completed', output };
  }

  /** The event that tells the saga how the attempt ended. */
  settledWith(result: AttemptResult): SagaEvent {
    const { start, epoch } = this;
    return { kind: 'settled', ...taskRef(start), attempt: start.attempt, epoch, result };
  }

  /** The event that tells the saga of a success after the attempt had been abandoned. */
  succeededLate(output: unknown): SagaEvent {
    const { start } = this;
    return { kind: 'late_success', ...taskRef(start), attempt: start.attempt, output };
  }

  /** Makes a result from the error that the method threw. */
  failure(error: unknown): AttemptResult {
    const kind = classify(error);
    const known = kind === 'refusal' || this.transactional;
    const givenBack = this.aborted === 'shutdown' || this.aborted === 'restarted';
    if (givenBack && kind !== 'refusal' && kind !== 'final') {
      return { kind: 'released', doubt: !known };
    }
    return {
      kind: 'failed',
      error: errorRecord(error),
      // Only a refusal or a final error says that the method had no effect. A method that was told to
      // stop may have stopped anywhere, and after an error that another attempt may cure (a broken
      // socket, a 503) the other side may have done what it was asked for.
      doubt: !known && (this.aborted !== null || kind !== 'final' || isAboutValue(error)),
      final: kind === 'refusal' || kind === 'final' || this.aborted === 'given_up',
    };
  }

  /** The promise of the attempt has settled. */
  settle(result: AttemptResult): void {
    if (this.settled) return;
    this.settled = true;
    this.#stopTimers();
    if (this.abandoned) {
      this.#freePermit();
      this.run.late(this, result);
      return;
    }
    this.#report(result, outcomeOf(result, this.aborted));
  }

  /**
   * Reports the attempt without waiting for its promise, because its method is not running and will not
   * be called.
   */
  #withdraw(reason: AbortReason): void {
    this.#abandon();
    const error = errorRecord(new StepAbortedError(this.start.step, reason));
    const failed = reason === 'given_up' || reason === 'timeout';
    this.#report(
      failed
        ? { kind: 'failed', error, doubt: false, final: reason === 'given_up' }
        : { kind: 'released', doubt: false },
      'aborted',
    );
  }

  /** Its promise is not waited for any more, and its transaction ends even if a statement of it hangs. */
  #abandon(): void {
    this.abandoned = true;
    // The promise may never settle, and a timer would keep the ended saga in memory until its time.
    this.#stopTimers();
    this.unwanted.abort(new StepAbortedError(this.start.step, this.aborted ?? 'given_up'));
  }

  #stopTimers(): void {
    this.#limit.pause();
    this.connection.end();
    this.#stopBound?.();
  }

  #stop(reason: AbortReason): void {
    this.#controller ??= new AbortController();
    this.#controller.abort(new StepAbortedError(this.start.step, reason));
  }

  #report(result: AttemptResult, outcome: AttemptOutcome): void {
    this.#freePermit();
    this.teller.ended(outcome);
    this.run.report(this, result);
  }

  #freePermit(): void {
    if (this.#permitFreed) return;
    this.#permitFreed = true;
    this.#outputs?.release();
    const { transactional, start } = this;
    this.engine.permits.free({ transactional, suspicion: start.suspicion });
  }
}
