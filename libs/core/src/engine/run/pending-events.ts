import type { Mail } from '../../ports/index.js';
import type { SagaEvent } from '../decide/index.js';
import { taskRef, type TaskRef } from '../journal/index.js';
import { withoutUnstorableData } from './without-unstorable-data.js';

/**
 * The events of a saga that no transition has taken into account yet, in the order in which they came.
 */
export class PendingEvents {
  #waiting: SagaEvent[] = [];
  readonly #seenMail = new Set<string>();
  /**
   * How many of the first events are processed one at a time: the store rejected a transition built
   * from them together, and the one at fault has to be found.
   */
  #singly = 0;
  /** Events from which the data was removed that the store cannot keep. */
  readonly #withoutData = new WeakSet<SagaEvent>();

  get size(): number {
    return this.#waiting.length;
  }

  add(event: SagaEvent): void {
    this.#waiting.push(event);
  }

  /** Adds mail that was read from the store. False: it was read before, and is not added twice. */
  addMail(mail: Mail): boolean {
    if (this.#seenMail.has(mail.id)) return false;
    this.#seenMail.add(mail.id);
    this.add({ kind: 'mail', mail });
    return true;
  }

  /** The transition that consumed this mail is committed. */
  forgetMail(ids: readonly string[]): void {
    for (const id of ids) this.#seenMail.delete(id);
  }

  /** Mail that no transition has taken yet. */
  mail(): Mail[] {
    return this.#waiting.flatMap((one) => (one.kind === 'mail' ? [one.mail] : []));
  }

  /** Removes and returns the events for the next transition: all of them, as a rule. */
  take(): SagaEvent[] {
    if (this.#singly === 0) return this.#waiting.splice(0);
    this.#singly -= 1;
    return this.#waiting.splice(0, 1);
  }

  /** Successful attempts among the events that no transition has taken. */
  *successes(): Generator<TaskRef & { attempt: number; output: unknown }> {
    for (const one of this.#waiting) {
      if (one.kind === 'late_success') {
        yield one;
      } else if (one.kind === 'settled' && one.result.kind === 'completed') {
        const { attempt, result } = one;
        yield { ...taskRef(one), attempt, output: result.output };
      }
    }
  }

  /**
   * Returns the events of a transition that is known not to have been committed; they come first in the
   * next one.
   */
  putBack(events: readonly SagaEvent[]): void {
    this.#waiting = [...events, ...this.#waiting];
  }

  /**
   * Reacts to a transition that the store rejected and whose events have been put back. First the event
   * at fault is searched, by processing the events one at a time; then it is replaced by one without
   * the data that the store cannot keep; and if that is rejected too, by a `refused` event. False: the
   * store rejects even the `refused` event.
   */
  refuse(events: readonly SagaEvent[], transactional: (ref: TaskRef) => boolean): boolean {
    if (events.length > 1) {
      this.#singly = events.length;
      return true;
    }
    const [culprit] = events;
    if (culprit?.kind === 'refused') return false;
    if (culprit !== undefined) this.#waiting.shift();
    const told =
      culprit === undefined || this.#withoutData.has(culprit)
        ? null
        : withoutUnstorableData(culprit, transactional);
    const instead: SagaEvent = told ?? {
      kind: 'refused',
      detail: 'The store refuses its journal entries.',
    };
    this.#withoutData.add(instead);
    this.#waiting.unshift(instead);
    return true;
  }
}
