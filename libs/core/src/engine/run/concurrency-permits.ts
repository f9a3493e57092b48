import type { FreePermits, Suspicion } from '../decide/index.js';

export interface Permit {
  readonly transactional: boolean;
  readonly suspicion: Suspicion;
}

/** A saga that could start a step if it got a permit. */
export interface Waiter {
  /**
   * Whether the saga could take a permit now: no transition of it is being committed and its turn is
   * free.
   */
  readonly canTake: boolean;
  schedule(): void;
}

type PermitKind = keyof FreePermits;

/** So many crash suspects, which were running when their process died, run at once at most. */
const MOST_SUSPECTS = 20;
/** They take at most this part of the permits, because they may hang again. */
const PART_OF_SUSPECTS = 1 / 5;

/**
 * The permits that bound how many steps run at once in this process. A start is journaled only once its
 * permit is taken, since a start in the journal counts as a crash if the process dies.
 *
 * A waiting saga stands in the queue of the kind of permit that is short, so that hundreds of suspects
 * or of transactional steps do not keep a free permit from a step that needs only a common one. A
 * permit is reserved for each waiting saga that can take it now. A saga whose turn is held, perhaps for
 * as long as a user's transaction hangs, keeps its position in the queue, but no permit is reserved for
 * it. A saga that has got a permit and wants more goes to the end of the queue.
 *
 * Crash suspects run in groups after their first crash, since dozens of steps may have been running in
 * it. Suspects whose next crash is the last that is allowed run with no other suspect beside them, so
 * that another crash shows which step it was. They come first, because all other suspects wait for that
 * outcome.
 */
export class ConcurrencyPermits {
  readonly #total: number;
  readonly #suspects: number;
  /** How many transactional steps may still be started, whatever is free. */
  #transactionalLeft = Number.POSITIVE_INFINITY;
  /** Called when a saga waits to start a transactional step, and when such a permit becomes free. */
  onTransactionalWait: () => void = () => undefined;
  readonly #free: Record<PermitKind, number>;
  /**
   * The waiting sagas of each kind, in the order in which they came; a saga stands once in each queue.
   */
  readonly #queues: Readonly<Record<PermitKind, Set<Waiter>>> = {
    steps: new Set(),
    transactional: new Set(),
    suspects: new Set(),
    alone: new Set(),
  };

  constructor(steps: number, transactional: number) {
    this.#total = steps;
    this.#suspects = Math.max(1, Math.min(MOST_SUSPECTS, Math.floor(steps * PART_OF_SUSPECTS)));
    this.#free = { steps, transactional, suspects: this.#suspects, alone: 1 };
  }

  /**
   * The permits that are free for this saga, for a decision to count down. Sagas that have waited
   * longer come first.
   */
  freeFor(asking: Waiter): FreePermits {
    return {
      steps: this.#freeOf('steps', asking),
      transactional: this.#freeOf('transactional', asking),
      suspects: this.#freeOf('suspects', asking),
      alone: this.#freeOf('alone', asking),
    };
  }

  take(permit: Permit): void {
    if (permit.transactional) this.#transactionalLeft = Math.max(0, this.#transactionalLeft - 1);
    for (const kind of kindsOf(permit)) this.#free[kind] -= 1;
  }

  free(permit: Permit): void {
    for (const kind of kindsOf(permit)) this.#free[kind] += 1;
    this.#next('steps');
    if (permit.transactional) {
      this.#next('transactional');
      if (this.transactionalAwaited) this.onTransactionalWait();
    }
    if (permit.suspicion !== 'none') this.#nextSuspects();
  }

  /**
   * Puts the saga into the queues of these kinds of permits and takes it out of the others. `served`:
   * it has just got some permits, so others come before it gets more.
   */
  wait(waiter: Waiter, kinds: ReadonlySet<PermitKind>, served: boolean): void {
    for (const kind of KINDS) {
      const queue = this.#queues[kind];
      if (!kinds.has(kind)) {
        this.#leave(waiter, kind);
      } else {
        if (served) queue.delete(waiter);
        queue.add(waiter);
      }
    }
    if (kinds.has('transactional')) this.onTransactionalWait();
  }

  leave(waiter: Waiter): void {
    for (const kind of KINDS) this.#leave(waiter, kind);
  }

  /** A permit was offered to this saga, which cannot take it now, so it is offered to the next ones. */
  passOn(waiter: Waiter): void {
    for (const kind of KINDS) if (this.#queues[kind].has(waiter)) this.#next(kind);
    if (this.#queues.alone.has(waiter)) this.#next('suspects');
  }

  /** Whether a saga waits to start a transactional step for which a permit is free. */
  get transactionalAwaited(): boolean {
    return this.#queues.transactional.size > 0 && this.#free.transactional > 0;
  }

  /** Starts so many transactional steps at most until this is called again. */
  limitTransactional(most: number): void {
    this.#transactionalLeft = most;
    this.#next('transactional');
  }

  get running(): number {
    return this.#total - this.#free.steps;
  }

  #freeOf(kind: PermitKind, asking: Waiter): number {
    const free = this.#freeIn(kind, asking);
    // Asked for every step of every saga, and most of the time nobody waits.
    if (free === 0 || this.#queues[kind].size === 0) return free;
    let before = 0;
    let others = 0;
    let waits = false;
    for (const waiter of this.#queues[kind]) {
      if (waiter === asking) waits = true;
      else if (waiter.canTake) {
        others += 1;
        if (!waits) before += 1;
      }
      if (before >= free || others >= free) break;
    }
    if (before >= free) return 0;
    return Math.max(waits ? 1 : 0, free - others);
  }

  /** How many permits of a kind are free, without regard to the sagas that wait. */
  #freeIn(kind: PermitKind, asking?: Waiter): number {
    switch (kind) {
      case 'steps':
        return this.#free.steps;
      case 'transactional':
        return Math.min(this.#free.transactional, this.#transactionalLeft);
      case 'alone':
        return this.#free.suspects === this.#suspects ? this.#free.alone : 0;
      case 'suspects':
        return this.#free.alone > 0 && !this.#waitsAlone(asking) ? this.#free.suspects : 0;
    }
  }

  /** Whether another saga waits to run a suspect alone as soon as the group has ended. */
  #waitsAlone(asking: Waiter | undefined): boolean {
    for (const waiter of this.#queues.alone) if (waiter !== asking && waiter.canTake) return true;
    return false;
  }

  #leave(waiter: Waiter, kind: PermitKind): void {
    if (!this.#queues[kind].delete(waiter)) return;
    if (kind === 'alone') this.#nextSuspects();
    else this.#next(kind);
  }

  #nextSuspects(): void {
    this.#next('alone');
    this.#next('suspects');
  }

  /** Offers the free permits to the sagas that have waited longest. */
  #next(kind: PermitKind): void {
    let left = this.#freeIn(kind);
    for (const waiter of this.#queues[kind]) {
      if (left <= 0) return;
      // Scheduled also if it cannot decide now: it looks again as soon as it can.
      waiter.schedule();
      if (waiter.canTake) left -= 1;
    }
  }
}

const KINDS: readonly PermitKind[] = ['steps', 'transactional', 'suspects', 'alone'];

function kindsOf({ transactional, suspicion }: Permit): PermitKind[] {
  const kinds: PermitKind[] = ['steps'];
  if (transactional) kinds.push('transactional');
  if (suspicion === 'group') kinds.push('suspects');
  if (suspicion === 'alone') kinds.push('alone');
  return kinds;
}
