import type { JournalEntry, Mail, TransitionOutcome } from '../../ports/index.js';
import type { SagaDefinition } from '../../saga/index.js';
import {
  decide,
  isKnownMail,
  methodOf,
  type AttemptResult,
  type Decision,
  type SagaEvent,
  type PlannedStart,
} from '../decide/index.js';
import { EngineClosedError } from '../errors.js';
import type { SagaFacts } from '../facts/index.js';
import { outcomeOf } from '../handle/index.js';
import { encodeEntry, type TaskRef } from '../journal/index.js';
import type { SagaState } from '../state/index.js';
import { Attempt } from './attempt.js';
import type { AbortReason } from './attempt-outcome.js';
import { Attempts } from './attempts.js';
import type { ClosedBecause, EngineContext } from './engine-context.js';
import { PendingEvents } from './pending-events.js';
import { transitionOf, type PendingTransition } from './pending-transition.js';
import { leaveOutputs } from './leave-outputs.js';
import { isTransactional, permitOf } from './permit-of.js';
import { PostponedStarts } from './postponed-starts.js';
import { RunFormat } from './run-format.js';
import { factsOf, type SagaSeed } from './saga-seed.js';
import { decisionContextOf } from './decision-context.js';
import { endedTooLate, reportUntaken } from './report-late-effect.js';
import { tellTransition } from './tell-transition.js';
import { runTransactional } from './transactional-attempt.js';
import { Turn } from './turn.js';
import { unreadableRun } from './unreadable-run.js';
import { DecisionError } from './decision.error.js';

/** Pause before a saga whose entries the store rejects altogether is tried again. */
const REFUSED_PAUSE_MS = 60_000;

/**
 * A saga in this process. It has one turn, so that at most one transition is in flight, and each is
 * decided from the journaled state after the outcome of the previous one is known. Events that come
 * meanwhile wait for the next transition.
 */
export class SagaRun {
  readonly id: string;
  readonly definition: SagaDefinition;
  readonly deadlineAt: number | null;
  readonly epoch: number;
  readonly facts: SagaFacts;
  /** The state as it is in the journal. */
  state: SagaState;
  closed = false;
  bytes: number;
  #revision: number;
  readonly format: RunFormat;
  readonly tenant: string;
  readonly #engine: EngineContext;
  readonly #events = new PendingEvents();
  readonly #attempts = new Attempts();
  readonly #postponed = new PostponedStarts();
  /** Taken before a transition of the saga is decided, given back by {@link endTurn}. */
  readonly turn = new Turn();
  #decisionDue = false;
  #queued = false;
  #stopTimer: (() => void) | null = null;

  constructor(engine: EngineContext, seed: SagaSeed) {
    this.#engine = engine;
    this.id = seed.id;
    this.tenant = seed.tenant;
    this.definition = seed.definition;
    this.state = seed.state;
    this.#revision = seed.revision;
    this.format = new RunFormat(seed.format);
    this.bytes = seed.bytes;
    this.epoch = seed.epoch;
    this.deadlineAt = seed.deadlineAt;
    this.facts = factsOf(seed);
  }

  /** Whether the saga could decide a transition now. */
  get canTake(): boolean {
    return !this.closed && !this.turn.taken;
  }

  /** Has the saga decide again soon, as soon as its turn is free. */
  schedule(): void {
    if (this.closed) return;
    this.#decisionDue = true;
    if (this.turn.taken || this.#queued) return;
    this.#queued = true;
    queueMicrotask(() => {
      this.#queued = false;
      if (this.closed) return;
      if (this.turn.tryTake()) void this.#move();
      // An attempt took the turn first, perhaps for long: the reserved permit goes to others.
      else this.#engine.permits.passOn(this);
    });
  }

  enqueue(event: SagaEvent): void {
    this.#events.add(event);
    this.schedule();
  }

  /** Takes mail that was read from the store, each piece once; what only newer engines read stays there. */
  receive(mail: Mail): void {
    if (!this.format.reads(mail)) this.schedule();
    else if (isKnownMail(mail.kind) && this.#events.addMail(mail)) this.schedule();
  }

  /** Takes the result of an attempt, or that the attempt was abandoned. */
  report(attempt: Attempt, result: AttemptResult): void {
    if (attempt.settled) this.#attempts.delete(attempt);
    if (this.closed) {
      endedTooLate(attempt, result);
      return;
    }
    this.enqueue(attempt.settledWith(result));
  }

  /** Takes the result of an attempt that had been abandoned. */
  late(attempt: Attempt, result: AttemptResult): void {
    this.#attempts.delete(attempt);
    if (this.closed) {
      endedTooLate(attempt, result);
    } else if (result.kind === 'completed') {
      this.enqueue(attempt.succeededLate(result.output));
    } else {
      // A task that waited for this promise may start now.
      this.schedule();
    }
  }

  /** The attempt is about to commit: the decision inside its transaction counts it as ended. */
  setAside(attempt: Attempt): void {
    this.#attempts.delete(attempt);
  }

  putBack(attempt: Attempt): void {
    this.#attempts.add(attempt);
  }

  /** Does not start these tasks for a moment, since the saga's row is locked and others need the permits. */
  postpone(tasks: readonly TaskRef[]): void {
    this.#postponed.postpone(tasks, this.#engine.storeNow());
  }

  /** Reports running attempts as given back: the process ends and cannot wait for them. */
  releaseAll(): void {
    this.#attempts.releaseAll();
  }

  abortAll(reason: AbortReason): void {
    this.#attempts.abortAll(reason);
  }

  endTurn(): void {
    this.turn.end();
    if (this.#decisionDue) this.schedule();
  }

  /** Decides the next transition; null: there is nothing to commit. The caller must hold the turn. */
  decide(also?: SagaEvent): PendingTransition | null {
    const engine = this.#engine;
    const taken = this.#events.take();
    this.#decisionDue = this.#events.size > 0;
    const events = also === undefined ? taken : [...taken, also];
    let decision: Decision;
    let entries: readonly JournalEntry[];
    try {
      decision = decide(
        this.state,
        events,
        decisionContextOf(engine, this, this.#attempts, this.#postponed),
      );
      entries = decision.entries.map(encodeEntry);
    } catch (error) {
      // Kept, because they had no effect and mail is not read again.
      this.#events.putBack(taken);
      this.#decisionDue = true;
      throw new DecisionError(taken, error);
    }
    engine.permits.wait(this, decision.waitingFor, decision.starts.length > 0);
    if (decision.entries.length === 0) {
      this.#carryOut(decision);
      return null;
    }
    for (const start of decision.starts) engine.permits.take(permitOf(this.definition, start));
    const fence = {
      sagaId: this.id,
      owner: engine.incarnation,
      epoch: this.epoch,
      revision: this.#revision,
      becomes: this.format.becomes(this.definition, decision.next.format),
    };
    return { decision, transition: transitionOf(fence, decision, entries), events };
  }

  /** The start is committed, with the first decision if there was one. Gives back the turn. */
  begun(pending: PendingTransition | null): void {
    if (pending !== null) this.applied(pending);
    else {
      this.#revision += 1;
      this.#decisionDue = true;
    }
    this.endTurn();
  }

  /** The transition is committed, so its decision is carried out. */
  applied({ decision, transition }: PendingTransition): void {
    this.#revision += 1;
    this.format.committed(transition);
    this.#postponed.committed();
    tellTransition(this.#engine, this.facts, this.state, decision);
    this.state = decision.next;
    this.#engine.grew(this, transition.entries);
    leaveOutputs(this.#engine, this, this.#revision, decision.entries, transition.entries);
    this.#events.forgetMail(transition.consumedMail);
    this.#carryOut(decision);
  }

  /** The transition is known not to be committed: its events wait for the next one. */
  withdrawn({ decision, events }: PendingTransition, without?: SagaEvent): void {
    for (const start of decision.starts)
      this.#engine.permits.free(permitOf(this.definition, start));
    this.#events.putBack(events.filter((one) => one !== without));
  }

  /** Closes this run: the saga has no owner or another one, or its state here is outdated. */
  close(why: ClosedBecause, pending?: PendingTransition): void {
    if (pending !== undefined) this.withdrawn(pending);
    if (this.closed) return;
    this.closed = true;
    reportUntaken(this.#engine, this, this.#events.successes());
    this.#stopTimer?.();
    this.#engine.permits.leave(this);
    this.abortAll('given_up');
    for (const attempt of this.#attempts) this.#engine.orphan(attempt);
    this.#engine.closed(this, why);
  }

  async #move(): Promise<void> {
    try {
      while (!this.closed && this.#decisionDue) {
        const pending = this.decide();
        if (pending === null) continue;
        await this.#engine.faults.reach('transition.before-flush', this.id);
        // A transition without starts holds no permits, so it waits for as long as its row is locked.
        const mayBeBusy = pending.decision.starts.length > 0;
        const row = { mayBeBusy, wasBusy: this.#postponed.rowLocked };
        this.#answer(pending, await this.#engine.flusher.submit(pending.transition, row));
      }
    } catch (error) {
      if (error instanceof DecisionError) this.#cannotDecide(error);
      // The outcome is unknown. The engine that adopts the saga reads it from the journal.
      else if (error instanceof EngineClosedError) this.close('lost');
      else {
        const what = 'A transition of a saga failed unexpectedly; the saga is loaded again.';
        this.#engine.logger.error(what, { sagaId: this.id }, error);
        this.close('stale');
      }
    } finally {
      this.endTurn();
    }
  }

  #answer(pending: PendingTransition, outcome: TransitionOutcome): void {
    switch (outcome.kind) {
      case 'applied':
        this.applied(pending);
        return;
      case 'not_owner':
      case 'missing':
        this.close('lost', pending);
        return;
      case 'conflict':
        this.close('stale', pending);
        return;
      case 'busy':
        this.withdrawn(pending);
        this.postpone(pending.decision.starts);
        this.#decisionDue = true;
        return;
      case 'rejected':
        this.#refused(pending, outcome.error);
        return;
    }
  }

  #refused(pending: PendingTransition, error: unknown): void {
    const { logger, timers } = this.#engine;
    logger.error('The store refused a transition of a saga.', { sagaId: this.id }, error);
    this.withdrawn(pending);
    // The store rejects even the entry that says so. No event is lost; the saga tries again and again.
    if (!this.#refuse(pending.events))
      this.#stopTimer = timers.set(REFUSED_PAUSE_MS, () => this.schedule());
  }

  /** Parks the saga, or it would be loaded again and again and fail at the same decision. */
  #cannotDecide({ events, cause }: DecisionError): void {
    const facts = { sagaId: this.id };
    this.#engine.logger.error('The next transition of a saga could not be decided.', facts, cause);
    if (!this.#refuse(events)) this.cannotRead(cause);
  }

  /** Parks the saga, because something of its journal cannot be read. */
  cannotRead(cause: unknown): void {
    if (this.closed) return;
    const saga = unreadableRun(this, this.#revision, this.#events.mail());
    this.close('unreadable');
    this.#engine.quarantine(saga, cause);
  }

  /** Replaces events that the store rejects or no decision can use. False: nothing is left to try. */
  #refuse(events: readonly SagaEvent[]): boolean {
    this.#decisionDue = this.#events.refuse(events, (ref) => isTransactional(this.definition, ref));
    return this.#decisionDue;
  }

  #carryOut(decision: Decision): void {
    for (const ref of decision.aborts) this.#attempts.abort(ref, 'given_up');
    for (const ref of decision.restarts) this.#attempts.abort(ref, 'restarted');
    for (const start of decision.starts) this.#begin(start);
    this.#stopTimer?.();
    this.#stopTimer = null;
    const outcome = decision.entries.length > 0 ? outcomeOf(this.state) : null;
    if (outcome !== null) this.#engine.ended(this, outcome);
    if (decision.ownership.kind === 'give_back') {
      this.close(this.#events.size > 0 ? 'mail_waits' : 'given_back');
    } else if (decision.wakeAt !== null && !this.closed) {
      const inMs = decision.wakeAt - this.#engine.storeNow();
      this.#stopTimer = this.#engine.timers.set(inMs, () => this.schedule());
    }
  }

  #begin(start: PlannedStart): void {
    const step = this.definition.steps.get(start.step);
    const method = step === undefined ? null : methodOf(step, start.role);
    // The transition is committed, but this engine was declared dead: another one runs the step.
    if (method === null || this.closed) {
      this.#engine.permits.free(permitOf(this.definition, start));
      return;
    }
    const { transactional, timeoutMs } = method;
    const attempt = new Attempt(this.#engine, this, start, this.epoch, transactional, timeoutMs);
    this.#attempts.add(attempt);
    void (transactional ? runTransactional(attempt) : attempt.runPlain());
  }
}
