/** Figures over the time of the run, of which only the growth matters. */
export class Gauges {
  readonly #now: () => number;
  readonly #began: number;
  readonly #heaps: Sample[] = [];
  readonly #connections: Sample[] = [];
  #lastEnded = 0;
  #lastEndAt: number;
  longestStandstillMs = 0;

  /** `now`: a monotonic clock in milliseconds. */
  constructor(now: () => number = () => performance.now()) {
    this.#now = now;
    this.#began = now();
    this.#lastEndAt = this.#began;
  }

  heap(bytes: number): void {
    this.#heaps.push({ at: this.#now() - this.#began, value: bytes });
  }

  connections(count: number): void {
    this.#connections.push({ at: this.#now() - this.#began, value: count });
  }

  /** Sagas that have ended so far, of those that were started. */
  progress(ended: number, started: number): void {
    const now = this.#now();
    this.longestStandstillMs = Math.max(this.longestStandstillMs, now - this.#lastEndAt);
    if (ended > this.#lastEnded || ended >= started) {
      this.#lastEnded = ended;
      this.#lastEndAt = now;
    }
  }

  /** The largest heap of a process in the second quarter of the run, and in the last one, in MiB. */
  get heapMiB(): Growth {
    const mib = (one: number): number => Math.round((one / 2 ** 20) * 10) / 10;
    const { before, after } = growth(this.#heaps);
    return { before: mib(before), after: mib(after) };
  }

  /** The most connections at a time, in the same two quarters. */
  get connectionsMost(): Growth {
    return growth(this.#connections);
  }
}

export interface Growth {
  readonly before: number;
  readonly after: number;
}

interface Sample {
  readonly at: number;
  readonly value: number;
}

function growth(samples: readonly Sample[]): Growth {
  const end = samples.at(-1)?.at ?? 0;
  const most = (from: number, to: number): number =>
    samples
      .filter(({ at }) => at >= end * from && at <= end * to)
      .reduce((largest, { value }) => Math.max(largest, value), 0);
  return { before: most(0.25, 0.5), after: most(0.75, 1) };
}
