import type { FreePermits, Suspicion } from '../decide/index.js';

export interface Permit {
  readonly transactional: boolean;
  readonly suspicion: Suspicion;
}

/** Somebody who could start a step had there been room. */
export interface Waiter {
  /** Whether it could take a place now: nothing else of its saga is being committed or holds its turn. */
  readonly canTake: boolean;
  schedule(): void;
}

type PermitKind = keyof FreePermits;

/** Steps that were running when their process died run beside so many of their like at most. */
const MOST_SUSPECTS = 20;
/** And take no more than this part of the places: they may hang again, as they perhaps did. */
const PART_OF_SUSPECTS = 1 / 5;

/**
 * The places for running steps of this process. A start is journaled only with a place taken, since
 * a start in the journal counts as a crash when the process dies.
 *
 * Who waits stands in the line of the kind of place that is short: hundreds of suspects or of
 * transactional steps must not keep a free place from a step that needs no other. A place is kept free
 * for each of those who wait, and only for those who can take it: one whose turn is held, perhaps for
 * as long as a user's transaction hangs, keeps its position and nothing else. Who has got a place and
 * wants more goes to the end of the line.
 *
 * Suspects: one death makes nobody suspect enough to run alone, so those of a first crash run in
 * groups. Those of the last crash that is allowed run with no other suspect beside them, so that
 * another death tells who it was; they come first, because everybody else waits for that answer.
 */
export class ConcurrencyPermits {
  readonly #total: number;
  readonly #suspects: number;
  #transactionalOpen = true;
  readonly #free: Record<PermitKind, number>;
  /** First come, first served; a saga stands once in each. */
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

  /** What is free for this one, for a decision to count down. Those who wait before it come first. */
  freeFor(asking: Waiter): FreePermits {
    return {
      steps: this.#freeOf('steps', asking),
      transactional: this.#freeOf('transactional', asking),
      suspects: this.#freeOf('suspects', asking),
      alone: this.#freeOf('alone', asking),
    };
  }

  take(place: Permit): void {
    for (const kind of kindsOf(place)) this.#free[kind] -= 1;
  }

  free(place: Permit): void {
    for (const kind of kindsOf(place)) this.#free[kind] += 1;
    this.#next('steps');
    if (place.transactional) this.#next('transactional');
    if (place.suspicion !== 'none') this.#nextSuspects();
  }

  /**
   * Waits for these kinds of places, in the order of asking; for none: waits no more. `served`: it has
   * just got some, so others come before it gets more.
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
  }

  leave(waiter: Waiter): void {
    for (const kind of KINDS) this.#leave(waiter, kind);
  }

  /** It was asked, and cannot take a place now after all: the next ones are. */
  passOn(waiter: Waiter): void {
    for (const kind of KINDS) if (this.#queues[kind].has(waiter)) this.#next(kind);
    if (this.#queues.alone.has(waiter)) this.#next('suspects');
  }

  /** No transactional step is started until {@link openTransactional}. */
  closeTransactional(): void {
    this.#transactionalOpen = false;
  }

  openTransactional(): void {
    this.#transactionalOpen = true;
    this.#next('transactional');
  }

  get running(): number {
    return this.#total - this.#free.steps;
  }

  #freeOf(kind: PermitKind, asking: Waiter): number {
    const free = this.#freeIn(kind, asking);
    if (free === 0) return 0;
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

  /** How many of a kind may be taken, whoever does. */
  #freeIn(kind: PermitKind, asking?: Waiter): number {
    switch (kind) {
      case 'steps':
        return this.#free.steps;
      case 'transactional':
        return this.#transactionalOpen ? this.#free.transactional : 0;
      case 'alone':
        return this.#free.suspects === this.#suspects ? this.#free.alone : 0;
      case 'suspects':
        return this.#free.alone > 0 && !this.#waitsAlone(asking) ? this.#free.suspects : 0;
    }
  }

  /** Whether somebody else could run alone as soon as the group has ended. */
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

  /** Asks those who wait longest, as many as there are places for. */
  #next(kind: PermitKind): void {
    let left = this.#freeIn(kind);
    for (const waiter of this.#queues[kind]) {
      if (left <= 0) return;
      // Also who cannot decide now: it looks again when it can.
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
