import type { Room } from '../decide/index.js';

export interface Place {
  readonly transactional: boolean;
  readonly suspect: boolean;
}

/** Somebody who could start a step had there been room. */
export interface Waiter {
  poke(): void;
}

type Kind = keyof Room;

/**
 * The places for running steps of this process. A start is journaled only with a place taken, since
 * a start in the journal counts as a crash when the process dies.
 *
 * Who waits stands in the line of the kind of place that is short: hundreds of suspects, which run
 * one at a time, or of transactional steps must not keep a free place from a step that needs no other.
 */
export class Places {
  readonly #total: number;
  readonly #free: Record<Kind, number>;
  /** First come, first served; a saga stands once in each. */
  readonly #lines: Readonly<Record<Kind, Set<Waiter>>> = {
    steps: new Set(),
    transactional: new Set(),
    suspects: new Set(),
  };

  constructor(steps: number, transactional: number) {
    this.#total = steps;
    this.#free = { steps, transactional, suspects: 1 };
  }

  /** What is free, for a decision to count down. Those who wait come first. */
  room(asking: Waiter): Room {
    return {
      steps: this.#roomIn('steps', asking),
      transactional: this.#roomIn('transactional', asking),
      suspects: this.#roomIn('suspects', asking),
    };
  }

  take(place: Place): void {
    for (const kind of kindsOf(place)) this.#free[kind] -= 1;
  }

  free(place: Place): void {
    const kinds = kindsOf(place);
    for (const kind of kinds) this.#free[kind] += 1;
    for (const kind of kinds) this.#next(kind);
  }

  /** Waits for these kinds of places, in the order of asking; for none: waits no more. */
  wait(waiter: Waiter, kinds: ReadonlySet<Kind>): void {
    for (const kind of KINDS) {
      if (kinds.has(kind)) this.#lines[kind].add(waiter);
      else this.#leave(waiter, kind);
    }
  }

  leave(waiter: Waiter): void {
    for (const kind of KINDS) this.#leave(waiter, kind);
  }

  get running(): number {
    return this.#total - this.#free.steps;
  }

  #roomIn(kind: Kind, asking: Waiter): number {
    const line = this.#lines[kind];
    const free = this.#free[kind];
    const [first] = line;
    return first === undefined || first === asking || free > line.size ? free : 0;
  }

  #leave(waiter: Waiter, kind: Kind): void {
    if (this.#lines[kind].delete(waiter) && this.#free[kind] > 0) this.#next(kind);
  }

  /** Asks whoever waits longest. */
  #next(kind: Kind): void {
    let asked = 0;
    for (const waiter of this.#lines[kind]) {
      if (asked >= this.#free[kind]) return;
      asked += 1;
      waiter.poke();
    }
  }
}

const KINDS: readonly Kind[] = ['steps', 'transactional', 'suspects'];

function kindsOf({ transactional, suspect }: Place): Kind[] {
  const kinds: Kind[] = ['steps'];
  if (transactional) kinds.push('transactional');
  if (suspect) kinds.push('suspects');
  return kinds;
}
