import { newId, newNonce } from '../../ids.js';
import type { Mail, SagaTransition, TransitionOutcome } from '../../ports/index.js';
import type { SagaDefinition } from '../../saga/index.js';
import {
  decide,
  lateMail,
  methodOf,
  type AttemptResult,
  type Decision,
  type Happening,
  type Surroundings,
} from '../decide/index.js';
import type { SagaFacts } from '../engine-observer.js';
import { outcomeOf } from '../handle/index.js';
import { encodeEntry } from '../journal/index.js';
import { taskOf, type SagaState } from '../state/index.js';
import { Attempt, type AbortReason } from './attempt.js';
import type { ClosedBecause, Inside } from './inside.js';
import { harmless } from './harmless.js';
import { runTransactional } from './transactional-attempt.js';

/** Before a saga whose journal is refused altogether is tried again. */
const REFUSED_PAUSE_MS = 60_000;

/** A saga as it was started, claimed or loaded. */
export interface SagaSeed {
  readonly id: string;
  readonly tenant: string;
  readonly definition: SagaDefinition;
  readonly state: SagaState;
  readonly revision: number;
  readonly epoch: number;
  readonly deadlineAt: number | null;
}

/** A transition that was decided and not yet answered. */
export interface Pending {
  readonly decision: Decision;
  readonly transition: SagaTransition;
  readonly happenings: readonly Happening[];
}

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
  revision: number;
  closed = false;
  readonly #tenant: string;
  readonly #inside: Inside;
  readonly #begun: number;
  #happenings: Happening[] = [];
  /** Attempts whose promises are unsettled, also those that were given up. */
  readonly #attempts = new Set<Attempt>();
  readonly #seenMail = new Set<string>();
  #turnTaken = false;
  #poked = false;
  #scheduled = false;
  readonly #turnWaiters: (() => void)[] = [];
  #stopAlarm: (() => void) | null = null;
  /** So many news are taken one by one, because the store refused something among them. */
  #singly = 0;
  /** News that were put otherwise, so that the store can keep them. */
  readonly #softened = new WeakSet<Happening>();

  constructor(inside: Inside, seed: SagaSeed) {
    this.#inside = inside;
    this.id = seed.id;
    this.#tenant = seed.tenant;
    this.definition = seed.definition;
    this.state = seed.state;
    this.revision = seed.revision;
    this.epoch = seed.epoch;
    this.deadlineAt = seed.deadlineAt;
    this.facts = { sagaId: seed.id, saga: seed.definition.name, version: seed.definition.version };
    this.#begun = inside.clock.now();
  }

  /** Looks whether there is something to do, in a turn of its own. */
  poke(): void {
    if (this.closed) return;
    this.#poked = true;
    if (this.#turnTaken || this.#scheduled) return;
    this.#scheduled = true;
    queueMicrotask(() => {
      this.#scheduled = false;
      if (this.#turnTaken || this.closed) return;
      this.#turnTaken = true;
      void this.#turn();
    });
  }

  tell(happening: Happening): void {
    this.#happenings.push(happening);
    this.poke();
  }

  /** Mail that was seen lying there; each letter is taken once. */
  receive(mail: Mail): void {
    if (this.#seenMail.has(mail.id)) return;
    this.#seenMail.add(mail.id);
    this.tell({ kind: 'mail', mail });
  }

  /** What steps yielded so far. */
  results(): ReadonlyMap<string, unknown> {
    const results = new Map<string, unknown>();
    for (const [step, roles] of this.state.steps) {
      if (roles.step.status === 'done') results.set(step, roles.step.output);
      else if (roles.recovery.status === 'done') results.set(step, roles.recovery.output);
    }
    return results;
  }

  /** An attempt's result, or that it was given up. */
  report(attempt: Attempt, result: AttemptResult): void {
    const { role, step, attempt: number } = attempt.start;
    if (attempt.settled) this.#attempts.delete(attempt);
    if (this.closed) {
      this.#inside.orphanMoved(attempt);
      this.#tooLate(attempt, result);
      return;
    }
    this.tell({ kind: 'settled', role, step, attempt: number, epoch: attempt.epoch, result });
  }

  /** An attempt that had been given up has settled after all. */
  late(attempt: Attempt, result: AttemptResult): void {
    this.#attempts.delete(attempt);
    if (this.closed) {
      this.#inside.orphanMoved(attempt);
      this.#tooLate(attempt, result);
      return;
    }
    if (result.kind === 'completed' && attempt.start.role === 'step') {
      const { role, step, attempt: number } = attempt.start;
      this.tell({ kind: 'late_success', role, step, attempt: number, output: result.output });
    } else {
      // Whatever waited for this promise may go on.
      this.poke();
    }
  }

  /** It is ending in a transaction of its own: the decision in there takes it as ended. */
  setAside(attempt: Attempt): void {
    this.#attempts.delete(attempt);
  }

  /** Reports what still runs as given back: the process ends, and cannot wait for it. */
  releaseAll(): void {
    for (const attempt of this.#attempts) attempt.release();
  }

  abortAll(reason: AbortReason): void {
    for (const attempt of this.#attempts) attempt.abort(reason);
  }

  get busy(): boolean {
    return this.#attempts.size > 0 || this.#turnTaken;
  }

  /** Waits for the turn; it must be given back by {@link endTurn}. */
  async takeTurn(): Promise<void> {
    while (this.#turnTaken) await new Promise<void>((resolve) => this.#turnWaiters.push(resolve));
    this.#turnTaken = true;
  }

  endTurn(): void {
    this.#turnTaken = false;
    const next = this.#turnWaiters.shift();
    if (next !== undefined) next();
    if (this.#poked) this.poke();
  }

  /** What the saga does next; null: nothing is to be committed. The turn must be held. */
  decide(also?: Happening): Pending | null {
    const inside = this.#inside;
    this.#poked = false;
    const news = this.#happenings.splice(0, this.#singly > 0 ? 1 : this.#happenings.length);
    if (this.#singly > 0) {
      this.#singly -= 1;
      this.#poked = this.#happenings.length > 0;
    }
    const happenings = also === undefined ? news : [...news, also];
    const decision = decide(this.state, happenings, this.#surroundings());
    this.#attend(decision);
    if (decision.entries.length === 0) {
      this.#carryOut(decision);
      return null;
    }
    for (const start of decision.starts) inside.places.take(this.#placeOf(start));
    const transition: SagaTransition = {
      id: newNonce(),
      sagaId: this.id,
      owner: inside.incarnation,
      epoch: this.epoch,
      revision: this.revision,
      status: decision.status,
      ownership: decision.ownership,
      entries: decision.entries.map(encodeEntry),
      messages: decision.messages,
      consumedMail: decision.consumedMail,
    };
    return { decision, transition, happenings };
  }

  /** The saga was started, with what had been decided for its first moment. Gives back the turn. */
  begun(pending: Pending | null): void {
    if (pending === null) {
      this.revision += 1;
      this.#poked = true;
    } else {
      this.applied(pending);
    }
    this.endTurn();
  }

  /** The transition is committed: what it decided comes true. */
  applied({ decision, transition }: Pending): void {
    this.revision += 1;
    this.state = decision.next;
    for (const id of transition.consumedMail) this.#seenMail.delete(id);
    this.#tellOf(decision);
    this.#carryOut(decision);
  }

  /** The transition is known not to have been committed: its news wait for the next one. */
  withdrawn({ decision, happenings }: Pending, without?: Happening): void {
    for (const start of decision.starts) this.#inside.places.free(this.#placeOf(start));
    this.#happenings = [...happenings.filter((one) => one !== without), ...this.#happenings];
  }

  /** The memory of the saga is worthless: somebody else has it, or the store knows more. */
  drop(why: ClosedBecause, pending?: Pending): void {
    if (pending !== undefined) this.withdrawn(pending);
    if (this.closed) return;
    this.closed = true;
    this.#stopAlarm?.();
    this.#inside.places.leave(this);
    this.abortAll('given_up');
    for (const attempt of this.#attempts) this.#inside.orphan(attempt);
    this.#inside.closed(this, why);
  }

  async #turn(): Promise<void> {
    try {
      while (!this.closed && this.#poked) {
        const pending = this.decide();
        if (pending === null) continue;
        await this.#inside.faults.reach('transition.before-flush', this.id);
        this.#answer(pending, await this.#inside.flusher.submit(pending.transition));
      }
    } catch (error) {
      this.#inside.logger.error(
        'A saga could not be moved on; it is loaded anew.',
        { sagaId: this.id },
        error,
      );
      this.drop('stale');
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

  /** The store cannot keep what was decided: which news it was, and how it can be told otherwise. */
  #refused(pending: Pending, error: unknown): void {
    const { logger, alarms } = this.#inside;
    logger.error('The store refused a transition of a saga.', { sagaId: this.id }, error);
    this.withdrawn(pending);
    this.#poked = true;
    const { happenings } = pending;
    if (happenings.length > 1) {
      this.#singly = happenings.length;
      return;
    }
    const [culprit] = happenings;
    if (culprit?.kind === 'refused') {
      // Not even that fits. Nothing is lost; it is tried again as long as it takes.
      this.#poked = false;
      this.#stopAlarm = alarms.set(REFUSED_PAUSE_MS, () => this.poke());
      return;
    }
    if (culprit !== undefined) this.#happenings.shift();
    const told =
      culprit === undefined || this.#softened.has(culprit)
        ? null
        : harmless(culprit, (step) => this.definition.steps.get(step)?.transactional === true);
    const instead = told ?? { kind: 'refused', detail: 'The store refuses its journal entries.' };
    this.#softened.add(instead);
    this.#happenings.unshift(instead);
  }

  #surroundings(): Surroundings {
    const inside = this.#inside;
    return {
      definition: this.definition,
      sagaId: this.id,
      tenant: this.#tenant,
      incarnation: inside.incarnation,
      epoch: this.epoch,
      now: inside.storeNow(),
      deadlineAt: this.deadlineAt,
      room: inside.places.room(this),
      unsettled: (role, step) => this.#unsettled(role, step),
      lateExpected: [...this.#attempts].some((one) => one.abandoned && !one.transactional),
      random: inside.random,
      service: inside.service,
      mayStart: inside.mayStart(),
      draining: inside.draining,
      shortDelayMs: inside.settings.shortDelayMs,
      newMessageId: newId,
    };
  }

  #unsettled(role: string, step: string): boolean {
    const blocks = ({ abandoned, start }: Attempt): boolean =>
      // One that was given up has had its bound: nothing waits for it any longer.
      !abandoned && start.step === step && start.role === role;
    for (const attempt of this.#attempts) if (blocks(attempt)) return true;
    // Attempts of an earlier life of this saga in this process.
    for (const attempt of this.#inside.orphansOf(this.id)) if (blocks(attempt)) return true;
    return false;
  }

  #placeOf(start: Decision['starts'][number]): { transactional: boolean; suspect: boolean } {
    const step = this.definition.steps.get(start.step);
    const method = step === undefined ? null : methodOf(step, start.role);
    return { transactional: method?.transactional === true, suspect: start.suspect };
  }

  #attend(decision: Decision): void {
    if (decision.starved) this.#inside.places.wait(this);
    else this.#inside.places.leave(this);
  }

  #carryOut(decision: Decision): void {
    for (const ref of decision.aborts) {
      for (const attempt of this.#attempts) {
        if (attempt.start.role === ref.role && attempt.start.step === ref.step)
          attempt.abort('given_up');
      }
    }
    for (const start of decision.starts) this.#begin(start);
    this.#stopAlarm?.();
    this.#stopAlarm = null;
    const outcome = decision.entries.length > 0 ? outcomeOf(this.state) : null;
    if (outcome !== null) this.#inside.ended(this, outcome);
    if (decision.ownership.kind === 'give_back') {
      this.drop(this.#happenings.length > 0 ? 'mail_waits' : 'given_back');
      return;
    }
    if (decision.wakeAt === null) return;
    const inMs = decision.wakeAt - this.#inside.storeNow();
    this.#stopAlarm = this.#inside.alarms.set(inMs, () => this.poke());
  }

  #begin(start: Decision['starts'][number]): void {
    const step = this.definition.steps.get(start.step);
    const method = step === undefined ? null : methodOf(step, start.role);
    if (method === null) return;
    const { transactional, timeoutMs } = method;
    const attempt = new Attempt(this.#inside, this, start, this.epoch, transactional, timeoutMs);
    this.#attempts.add(attempt);
    void (transactional ? runTransactional(attempt) : attempt.runPlain());
  }

  /** The saga is not this process's any more, but an effect of its step is there. */
  #tooLate(attempt: Attempt, result: AttemptResult): void {
    const { role, step, attempt: number } = attempt.start;
    if (role !== 'step' || result.kind !== 'completed' || attempt.transactional) return;
    this.#inside.observe((observer) => observer.lateEffect?.({ ...this.facts, step }));
    this.#inside.sagas
      .putMail([lateMail(this.id, step, number, result.output)])
      .catch((error: unknown) => {
        this.#inside.logger.error(
          'A step ended with success after its saga was given away, and its owner could not be told.',
          { sagaId: this.id, step },
          error,
        );
      });
  }

  #tellOf(decision: Decision): void {
    const inside = this.#inside;
    for (const entry of decision.entries) {
      if (
        entry.kind === 'crashed' ||
        (entry.kind === 'unknown' && entry.error.name === 'Crashed')
      ) {
        const { crashes } = taskOf(this.state, entry.role, entry.step);
        inside.observe((observer) =>
          observer.stepCrashed?.({ ...this.facts, step: entry.step, role: entry.role, crashes }),
        );
      } else if (entry.kind === 'adopted' && entry.from !== null) {
        const { from } = entry;
        inside.observe((observer) => observer.sagaAdopted?.({ ...this.facts, from }));
      } else if (entry.kind === 'needs_attention') {
        const { reason, detail } = entry;
        inside.observe((observer) => observer.needsAttention?.({ ...this.facts, reason, detail }));
      }
      if (entry.kind === 'needs_attention' || entry.kind === 'saga_ended') {
        const durationMs = inside.clock.now() - this.#begun;
        inside.observe((observer) =>
          observer.sagaEnded?.({ ...this.facts, status: decision.status, durationMs }),
        );
      }
    }
  }
}
