import { storeFailureOf } from '../../errors/index.js';
import type { Clock, SlotQueueStore } from '../../ports/index.js';
import { Backoff } from './backoff.js';
import type { TakenRow } from './slot-work.js';

/** Nobody waits for a removal, so few rows wait so many milliseconds for more to go with them. */
const GATHER_MS = 20;
/** So many are a crowd, which goes at once. */
const CROWD = 32;

/**
 * Removes in the background what is done, while the next rows are worked on. A completion needs no
 * fence: what was acknowledged is done, whoever says so. What cannot be removed is not forgotten
 * either: forgetting would publish it again and again.
 */
export class CompletionPump {
  readonly #store: SlotQueueStore;
  readonly #clock: Clock;
  readonly #reach: (point: 'before' | 'after') => void | Promise<void>;
  readonly #done: (rows: readonly TakenRow[]) => void;
  readonly #failed: (error: unknown) => void;
  readonly #worked: () => void;
  readonly #backoff: Backoff;
  #rows: TakenRow[] = [];
  #running: Promise<void> | undefined;
  #lastError: unknown = null;
  #lastAt = -Infinity;

  constructor(options: {
    readonly store: SlotQueueStore;
    readonly clock: Clock;
    readonly reach: (point: 'before' | 'after') => void | Promise<void>;
    readonly done: (rows: readonly TakenRow[]) => void;
    readonly failed: (error: unknown) => void;
    readonly worked: () => void;
  }) {
    this.#store = options.store;
    this.#clock = options.clock;
    this.#reach = options.reach;
    this.#done = options.done;
    this.#failed = options.failed;
    this.#worked = options.worked;
    this.#backoff = new Backoff(options.clock, 50, 10_000);
  }

  get idle(): boolean {
    return this.#running === undefined;
  }

  /** Resolves when what is under way now has ended. */
  async settled(): Promise<void> {
    await this.#running;
  }

  /** How many times in a row the store could not remove anything. */
  get failures(): number {
    return this.#backoff.failures;
  }

  get lastError(): unknown {
    return this.#lastError;
  }

  add(row: TakenRow): void {
    this.#rows.push(row);
    this.#running ??= this.#run();
  }

  stop(): void {
    this.#backoff.stop();
  }

  async #run(): Promise<void> {
    // A batch settles row by row within one tick and is removed by one statement.
    await Promise.resolve();
    try {
      while (this.#rows.length > 0) {
        await this.#gather();
        const rows = this.#rows;
        this.#rows = [];
        const left = await this.#remove(rows);
        if (left.length === 0) {
          this.#backoff.reset();
          this.#lastError = null;
          continue;
        }
        this.#rows = [...left, ...this.#rows];
        if (this.#backoff.stopped) return;
        await this.#backoff.wait();
      }
    } finally {
      // In the same step as the last look at what is left: cleared a tick later, what is given in
      // between would lie here until something else is given.
      this.#running = undefined;
    }
  }

  /** Lets more rows come, unless the last removal is long ago. */
  async #gather(): Promise<void> {
    const waitMs = this.#lastAt + GATHER_MS - this.#clock.now();
    if (waitMs <= 0 || this.#rows.length >= CROWD) return;
    await new Promise<void>((resolve) => this.#clock.after(waitMs, resolve));
  }

  /** Removes what can be removed; what is left. */
  async #remove(rows: readonly TakenRow[]): Promise<readonly TakenRow[]> {
    try {
      await this.#reach('before');
      await this.#store.complete(rows.map(({ row }) => ({ slot: row.slot, seq: row.seq })));
      await this.#reach('after');
      // Before the rows are told of: whoever asks then whether this works must hear that it does.
      this.#backoff.reset();
      this.#lastError = null;
      this.#worked();
      this.#lastAt = this.#clock.now();
      this.#done(rows);
      return [];
    } catch (error) {
      this.#lastError = error;
      this.#failed(error);
      // Refused or not answered, it is none of the rows that is at fault.
      if (storeFailureOf(error) !== 'failed') return rows;
    }
    // One row that can never be removed must not keep the others: slot by slot, then.
    const bySlot = new Map<number, TakenRow[]>();
    for (const taken of rows) {
      const slot = bySlot.get(taken.row.slot);
      if (slot === undefined) bySlot.set(taken.row.slot, [taken]);
      else slot.push(taken);
    }
    if (bySlot.size < 2 || this.#backoff.failures === 0) return rows;
    const left: TakenRow[] = [];
    for (const of of bySlot.values()) {
      try {
        await this.#store.complete(of.map(({ row }) => ({ slot: row.slot, seq: row.seq })));
        this.#done(of);
      } catch (error) {
        this.#lastError = error;
        left.push(...of);
      }
    }
    return left;
  }
}
