/** Figures of a run over its time: how memory and connections grow, and the longest waits. */
export class Gauges {
  readonly #now: () => number;
  readonly #runMs: number;
  readonly #memory = new Map<string, { readonly heap: Sample[]; readonly rss: Sample[] }>();
  readonly #connections: Sample[] = [];
  readonly #waits = new Map<string, Wait>();
  #began: number;
  #lastEnded = 0;
  #lastEndAt: number;
  longestStandstillMs = 0;

  /**
   * @param runMs how long orders are placed; growth is compared between quarters of this time, because
   * what is measured afterwards is measured without load
   * @param now a monotonic clock in milliseconds
   */
  constructor(runMs: number, now: () => number = () => performance.now()) {
    this.#now = now;
    this.#runMs = runMs;
    this.#began = now();
    this.#lastEndAt = this.#began;
  }

  /** The run begins now: what came before was preparation. */
  begin(): void {
    this.#began = this.#now();
    this.#lastEndAt = this.#began;
    this.#memory.clear();
    this.#connections.length = 0;
  }

  /** Bytes in use by a process, the heap after a garbage collection. */
  memory(process: string, heap: number, rss: number): void {
    let samples = this.#memory.get(process);
    if (samples === undefined) {
      samples = { heap: [], rss: [] };
      this.#memory.set(process, samples);
    }
    samples.heap.push(this.#sample(heap));
    samples.rss.push(this.#sample(rss));
  }

  connections(count: number): void {
    this.#connections.push(this.#sample(count));
  }

  /** The oldest message that is now in a queue. */
  waiting(wait: Wait): void {
    const longest = this.#waits.get(wait.queue);
    if (longest === undefined || wait.seconds > longest.seconds) this.#waits.set(wait.queue, wait);
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

  /** For each process the median of the first quarter of the run, and that of the last one, in MiB. */
  get memoryMiB(): Readonly<Record<string, MemoryGrowth>> {
    const mib = (bytes: number): number => Math.round((bytes / 2 ** 20) * 10) / 10;
    const growth = (samples: readonly Sample[]): Growth => ({
      before: mib(median(this.#within(samples, 0, 0.25))),
      after: mib(median(this.#within(samples, 0.75, 1))),
    });
    return Object.fromEntries(
      [...this.#memory].map(([process, { heap, rss }]) => [
        process,
        { heap: growth(heap), rss: growth(rss) },
      ]),
    );
  }

  /** The most connections at a time in the second quarter, when every pool has had its first load, and in the last. */
  get connectionsMost(): Growth {
    const most = (values: readonly number[]): number =>
      values.reduce((largest, value) => Math.max(largest, value), 0);
    return {
      before: most(this.#within(this.#connections, 0.25, 0.5)),
      after: most(this.#within(this.#connections, 0.75, 1)),
    };
  }

  /** The longest wait in each queue. */
  get longestWaits(): readonly Wait[] {
    return [...this.#waits.values()].sort((a, b) => a.queue.localeCompare(b.queue));
  }

  #sample(value: number): Sample {
    return { at: (this.#now() - this.#began) / this.#runMs, value };
  }

  #within(samples: readonly Sample[], from: number, to: number): number[] {
    return samples.filter(({ at }) => at >= from && at <= to).map(({ value }) => value);
  }
}

export interface Growth {
  readonly before: number;
  readonly after: number;
}

/** MiB. */
export interface MemoryGrowth {
  readonly heap: Growth;
  readonly rss: Growth;
}

/** A message that was seen waiting, with what its row said then. */
export interface Wait {
  readonly queue: string;
  readonly seconds: number;
  readonly row: object;
}

interface Sample {
  /** As a share of the time of the run. */
  readonly at: number;
  readonly value: number;
}

/** 0 of none. */
function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? 0;
}
