import type { JournalEntry, Mail, TransitionOutcome } from '../../ports/index.js';
import type { SagaDefinition } from '../../saga/index.js';
import {
  decide,
  isKnownMail,
  methodOf,
  type AttemptResult,
  type Decision,
  type Happening,
  type PlannedStart,
} from '../decide/index.js';
import type { SagaFacts } from '../engine-observer.js';
import { EngineClosedError } from '../errors.js';
import { outcomeOf } from '../handle/index.js';
import { encodeEntry, type TaskRef } from '../journal/index.js';
import type { SagaState } from '../state/index.js';
import { Attempt, type AbortReason } from './attempt.js';
import { Attempts } from './attempts.js';
import type { ClosedBecause, Inside } from './inside.js';
import { News } from './news.js';
import { transitionOf, type Pending } from './pending.js';
import type { Place } from './places.js';
import type { SagaSeed } from './saga-seed.js';
import { surroundingsOf } from './surroundings.js';
import { tellHeir } from './tell-heir.js';
import { tellObserver } from './tell-observer.js';
import { runTransactional } from './transactional-attempt.js';
import { Turn } from './turn.js';
import { Undecided } from './undecided.js';

/** Before a saga whose journal is refused altogether is tried again. */
const REFUSED_PAUSE_MS = 60_000;

/**
 * A saga in this process. It has one turn: at most one transition is in flight, decided from what is
 * journaled, after the previous one's answer is known. What comes meanwhile waits for the next.
 */
export class SagaRun {
  readonly id: string;
  readonly definition: SagaDefinition;
  readonly deadlineAt: number | null;
  readonly epoch: number;
  readonly facts: SagaFacts;
  /** As the journal has it. */
  state: SagaState;
  closed = false;
  #revision: number;
  readonly tenant: string;
  readonly #inside: Inside;
  readonly #news = new News();
  readonly #attempts = new Attempts();
  /** Taken by who moves the saga, given back by {@link endTurn}. */
  readonly turn = new Turn();
  #poked = false;
  #scheduled = false;
  #stopAlarm: (() => void) | null = null;

  constructor(inside: Inside, seed: SagaSeed) {
    this.#inside = inside;
    this.id = seed.id;
    this.tenant = seed.tenant;
    this.definition = seed.definition;
    this.state = seed.state;
    this.#revision = seed.revision;
    this.epoch = seed.epoch;
    this.deadlineAt = seed.deadlineAt;
    this.facts = { sagaId: seed.id, saga: seed.definition.name, version: seed.definition.version };
  }

  /** Whether it could move now. */
  get able(): boolean {
    return !this.closed && !this.turn.taken;
  }

  /** Looks whether there is something to do, in a turn of its own. */
  poke(): void {
    if (this.closed) return;
    this.#poked = true;
    if (this.turn.taken || this.#scheduled) return;
    this.#scheduled = true;
    queueMicrotask(() => {
      this.#scheduled = false;
      if (this.closed) return;
      if (this.turn.tryTake()) void this.#move();
      // Somebody took the turn first, perhaps for long: a place that was kept free for it is not.
      else this.#inside.places.passOn(this);
    });
  }

  tell(happening: Happening): void {
    this.#news.add(happening);
    this.poke();
  }

  /** Mail that was seen lying there; each letter is taken once. */
  receive(mail: Mail): void {
    // Of another version: it lies there for an engine that knows it.
    if (!isKnownMail(mail.kind)) return;
    if (this.#news.addMail(mail)) this.poke();
  }

  /** An attempt's result, or that it was given up. */
  report(attempt: Attempt, result: AttemptResult): void {
    if (attempt.settled) this.#attempts.delete(attempt);
    if (this.closed) {
      this.#tooLate(attempt, result);
      return;
    }
    const { role, step, attempt: number } = attempt.start;
    this.tell({ kind: 'settled', role, step, attempt: number, epoch: attempt.epoch, result });
  }

  /** An attempt that had been given up has settled after all. */
  late(attempt: Attempt, result: AttemptResult): void {
    this.#attempts.delete(attempt);
    if (this.closed) {
      this.#tooLate(attempt, result);
    } else if (result.kind === 'completed') {
      const { role, step, attempt: number } = attempt.start;
      this.tell({ kind: 'late_success', role, step, attempt: number, output: result.output });
    } else {
      // Callers that waited for this promise may go on.
      this.poke();
    }
  }

  /** It is ending in a transaction of its own: the decision in there takes it as ended. */
  setAside(attempt: Attempt): void {
    this.#attempts.delete(attempt);
  }

  putBack(attempt: Attempt): void {
    this.#attempts.add(attempt);
  }

  /** Reports what still runs as given back: the process ends, and cannot wait for it. */
  releaseAll(): void {
    this.#attempts.releaseAll();
  }

  abortAll(reason: AbortReason): void {
    this.#attempts.abortAll(reason);
  }

  endTurn(): void {
    this.turn.end();
    if (this.#poked) this.poke();
  }

  /** What the saga does next; null: nothing is to be committed. The turn must be held. */
  decide(also?: Happening): Pending | null {
    const inside = this.#inside;
    const news = this.#news.take();
    this.#poked = this.#news.size > 0;
    const happenings = also === undefined ? news : [...news, also];
    let decision: Decision;
    let entries: readonly JournalEntry[];
    try {
      decision = decide(this.state, happenings, surroundingsOf(inside, this, this.#attempts));
      entries = decision.entries.map(encodeEntry);
    } catch (error) {
      // Nothing came of them, and mail is seen once.
      this.#news.putBack(news);
      this.#poked = true;
      throw new Undecided(news, error);
    }
    inside.places.wait(this, decision.lacks, decision.starts.length > 0);
    if (decision.entries.length === 0) {
      this.#carryOut(decision);
      return null;
    }
    for (const start of decision.starts) inside.places.take(this.#placeOf(start));
    const fence = { sagaId: this.id, owner: inside.incarnation, epoch: this.epoch };
    const transition = transitionOf({ ...fence, revision: this.#revision }, decision, entries);
    return { decision, transition, happenings };
  }

  /** The saga was started, with what had been decided for its first moment. Gives back the turn. */
  begun(pending: Pending | null): void {
    if (pending === null) {
      this.#revision += 1;
      this.#poked = true;
    } else {
      this.applied(pending);
    }
    this.endTurn();
  }

  /** The transition is committed: what it decided comes true. */
  applied({ decision, transition }: Pending): void {
    this.#revision += 1;
    this.state = decision.next;
    this.#news.forgetMail(transition.consumedMail);
    tellObserver(this.#inside, this.facts, decision);
    this.#carryOut(decision);
  }

  /** The transition is known not to have been committed: its news wait for the next one. */
  withdrawn({ decision, happenings }: Pending, without?: Happening): void {
    for (const start of decision.starts) this.#inside.places.free(this.#placeOf(start));
    this.#news.putBack(happenings.filter((one) => one !== without));
  }

  /** The memory of the saga is worthless: somebody else has it, or the store knows more. */
  drop(why: ClosedBecause, pending?: Pending): void {
    if (pending !== undefined) this.withdrawn(pending);
    if (this.closed) return;
    this.closed = true;
    // A success that no transition took: without it an effect would stand that is believed undone.
    for (const success of this.#news.successes()) {
      if (!this.#isTransactional(success)) tellHeir(this.#inside, this.facts, success);
    }
    this.#stopAlarm?.();
    this.#inside.places.leave(this);
    this.abortAll('given_up');
    for (const attempt of this.#attempts) this.#inside.orphan(attempt);
    this.#inside.closed(this, why);
  }

  async #move(): Promise<void> {
    try {
      while (!this.closed && this.#poked) {
        const pending = this.decide();
        if (pending === null) continue;
        await this.#inside.faults.reach('transition.before-flush', this.id);
        this.#answer(pending, await this.#inside.flusher.submit(pending.transition));
      }
    } catch (error) {
      if (error instanceof Undecided) this.#cannotDecide(error);
      // Nobody knows what became of it; whoever adopts the saga finds out.
      else if (error instanceof EngineClosedError) this.drop('lost');
      else {
        const what = 'A saga could not be moved on; it is loaded anew.';
        this.#inside.logger.error(what, { sagaId: this.id }, error);
        this.drop('stale');
      }
    } finally {
      this.endTurn();
    }
  }

  #answer(pending: Pending, outcome: TransitionOutcome): void {
    switch (outcome.kind) {
      case 'applied':
        this.applied(pending);
        return;
      case 'not_owner':
      case 'missing':
        this.drop('lost', pending);
        return;
      case 'conflict':
      case 'busy':
        this.drop('stale', pending);
        return;
      case 'rejected':
        this.#refused(pending, outcome.error);
        return;
    }
  }

  #refused(pending: Pending, error: unknown): void {
    const { logger, alarms } = this.#inside;
    logger.error('The store refused a transition of a saga.', { sagaId: this.id }, error);
    this.withdrawn(pending);
    // Not even that it is refused can be told. Nothing is lost; it is tried as long as it takes.
    if (!this.#refuse(pending.happenings))
      this.#stopAlarm = alarms.set(REFUSED_PAUSE_MS, () => this.poke());
  }

  /** Without this it would be loaded anew, and come to the same place, for ever. */
  #cannotDecide({ news, cause }: Undecided): void {
    const facts = { sagaId: this.id };
    this.#inside.logger.error('What a saga does next could not be decided.', facts, cause);
    if (this.#refuse(news)) return;
    const { name, version } = this.definition;
    const mail = this.#news.mail();
    this.drop('unreadable');
    const { id, epoch } = this;
    const { startedAt } = this.state;
    const revision = this.#revision;
    const saga = { id, name, version, epoch, revision, mail, startedAt, parked: false };
    this.#inside.leaveAlone(saga, cause);
  }

  /** Whether something else can be told, where this cannot be kept or made sense of. */
  #refuse(happenings: readonly Happening[]): boolean {
    this.#poked = this.#news.refuse(happenings, (ref) => this.#isTransactional(ref));
    return this.#poked;
  }

  #isTransactional({ role, step: name }: TaskRef): boolean {
    const step = this.definition.steps.get(name);
    return step !== undefined && methodOf(step, role)?.transactional === true;
  }

  #placeOf(start: PlannedStart): Place {
    return { transactional: this.#isTransactional(start), suspicion: start.suspicion };
  }

  #carryOut(decision: Decision): void {
    for (const ref of decision.aborts) this.#attempts.abort(ref, 'given_up');
    for (const ref of decision.restarts) this.#attempts.abort(ref, 'restarted');
    for (const start of decision.starts) this.#begin(start);
    this.#stopAlarm?.();
    this.#stopAlarm = null;
    const outcome = decision.entries.length > 0 ? outcomeOf(this.state) : null;
    if (outcome !== null) this.#inside.ended(this, outcome);
    if (decision.ownership.kind === 'give_back') {
      this.drop(this.#news.size > 0 ? 'mail_waits' : 'given_back');
    } else if (decision.wakeAt !== null && !this.closed) {
      const inMs = decision.wakeAt - this.#inside.storeNow();
      this.#stopAlarm = this.#inside.alarms.set(inMs, () => this.poke());
    }
  }

  #begin(start: PlannedStart): void {
    const step = this.definition.steps.get(start.step);
    const method = step === undefined ? null : methodOf(step, start.role);
    // Committed, and declared dead before the answer came: whoever adopts the saga runs its steps.
    if (method === null || this.closed) {
      this.#inside.places.free(this.#placeOf(start));
      return;
    }
    const { transactional, timeoutMs } = method;
    const attempt = new Attempt(this.#inside, this, start, this.epoch, transactional, timeoutMs);
    this.#attempts.add(attempt);
    void (transactional ? runTransactional(attempt) : attempt.runPlain());
  }

  /** The saga is not this process's any more, but an effect of its step may be there. */
  #tooLate(attempt: Attempt, result: AttemptResult): void {
    const inside = this.#inside;
    inside.orphanMoved(attempt);
    const { role, step, attempt: number } = attempt.start;
    if (result.kind !== 'completed' || attempt.transactional) return;
    tellHeir(inside, this.facts, { role, step, attempt: number, output: result.output });
  }
}
