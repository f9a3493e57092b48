import type { Mail } from '../../ports/index.js';
import type { Happening } from '../decide/index.js';
import type { TaskRef } from '../journal/index.js';
import { harmless } from './harmless.js';

/** What a saga was told and has not yet taken into account. */
export class News {
  #waiting: Happening[] = [];
  readonly #seenMail = new Set<string>();
  /** So many are taken one by one, because the store refused something among them. */
  #singly = 0;
  /** What was put otherwise, so that the store can keep it. */
  readonly #softened = new WeakSet<Happening>();

  get size(): number {
    return this.#waiting.length;
  }

  add(happening: Happening): void {
    this.#waiting.push(happening);
  }

  /** Mail that was seen lying there; false: it was seen before, and is not taken twice. */
  addMail(mail: Mail): boolean {
    if (this.#seenMail.has(mail.id)) return false;
    this.#seenMail.add(mail.id);
    this.add({ kind: 'mail', mail });
    return true;
  }

  /** The transition that took this mail out is committed. */
  forgetMail(ids: readonly string[]): void {
    for (const id of ids) this.#seenMail.delete(id);
  }

  /** Mail that no transition has taken yet. */
  mail(): Mail[] {
    return this.#waiting.flatMap((one) => (one.kind === 'mail' ? [one.mail] : []));
  }

  /** What the next transition takes into account: all that waits, as a rule. */
  take(): Happening[] {
    if (this.#singly === 0) return this.#waiting.splice(0);
    this.#singly -= 1;
    return this.#waiting.splice(0, 1);
  }

  /** Successes among what waits. */
  *successes(): Generator<TaskRef & { attempt: number; output: unknown }> {
    for (const one of this.#waiting) {
      if (one.kind === 'late_success') {
        yield one;
      } else if (one.kind === 'settled' && one.result.kind === 'completed') {
        const { role, step, attempt, result } = one;
        yield { role, step, attempt, output: result.output };
      }
    }
  }

  /** A transition is known not to have been committed: its news come first in the next one. */
  putBack(happenings: readonly Happening[]): void {
    this.#waiting = [...happenings, ...this.#waiting];
  }

  /**
   * The store cannot keep what followed from these news, which have been put back: finds out which
   * it was, then tells it otherwise, and in the end that nothing helps. False: not even that fits.
   */
  refuse(happenings: readonly Happening[], transactional: (ref: TaskRef) => boolean): boolean {
    if (happenings.length > 1) {
      this.#singly = happenings.length;
      return true;
    }
    const [culprit] = happenings;
    if (culprit?.kind === 'refused') return false;
    if (culprit !== undefined) this.#waiting.shift();
    const told =
      culprit === undefined || this.#softened.has(culprit)
        ? null
        : harmless(culprit, transactional);
    const instead: Happening = told ?? {
      kind: 'refused',
      detail: 'The store refuses its journal entries.',
    };
    this.#softened.add(instead);
    this.#waiting.unshift(instead);
    return true;
  }
}
