import { storeFailureOf } from '../../errors/index.js';
import type { Clock, SlotQueueStore } from '../../ports/index.js';
import { Backoff } from './backoff.js';
import type { TakenRow } from './slot-work.js';
import { StuckRows, type StuckRow } from './stuck-rows.js';

/** Nobody waits for a removal, so few rows wait so many milliseconds for more to go with them. */
const GATHER_MS = 20;
/** So many are a crowd, which goes at once. */
const CROWD = 32;

/** So many refusals of the whole in a row are looked into: one row alone may be what is refused. */
const REFUSALS_TO_HALVE = 3;
const LARGEST_BATCH = 10_000;

/**
 * Removes in the background what is done, while the next rows are worked on. A completion needs no
 * fence: what was acknowledged is done, whoever says so. What cannot be removed is not forgotten
 * either: forgetting would publish it again and again.
 *
 * A batch that fails is halved, down to one row. A row that fails alone is set aside and tried again by
 * itself, so that the others are removed and reading goes on. Where the store removes nothing at all,
 * rows get there one by one and ever more slowly, and until then nothing more is read.
 */
export class CompletionPump {
  readonly #store: SlotQueueStore;
  readonly #clock: Clock;
  readonly #reach: (point: 'before' | 'after') => void | Promise<void>;
  readonly #done: (rows: readonly TakenRow[]) => void;
  readonly #failed: (error: unknown) => void;
  readonly #worked: () => void;
  readonly #drained: () => void;
  readonly #backoff: Backoff;
  readonly #stuck: StuckRows;
  #rows: TakenRow[] = [];
  #limit = LARGEST_BATCH;
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
    /** A row could not be removed by itself: it is tried again later, and others go on. */
    readonly setAside: (row: TakenRow) => void;
    readonly stuck: (row: StuckRow) => void;
    /** Nothing waits any more but what is set aside. */
    readonly drained: () => void;
  }) {
    this.#store = options.store;
    this.#clock = options.clock;
    this.#reach = options.reach;
    this.#done = options.done;
    this.#failed = options.failed;
    this.#worked = options.worked;
    this.#drained = options.drained;
    this.#backoff = new Backoff(options.clock, 50, 10_000);
    this.#stuck = new StuckRows({
      clock: options.clock,
      remove: (row) => this.#complete([row]),
      setAside: options.setAside,
      stuck: options.stuck,
    });
  }

  /** Nothing waits but what is set aside, which may stay so. */
  get idle(): boolean {
    return this.#running === undefined;
  }

  /** Resolves when what is under way now has ended. */
  async settled(): Promise<void> {
    await this.#running;
  }

  /** How many times since the last row was removed the store could remove nothing. */
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
    this.#stuck.stop();
  }

  async #run(): Promise<void> {
    // A batch settles row by row within one tick and is removed by one statement.
    await Promise.resolve();
    try {
      while (this.#rows.length > 0) {
        await this.#gather();
        const rows = this.#rows.splice(0, this.#limit);
        try {
          await this.#complete(rows);
          this.#limit = Math.min(2 * this.#limit, LARGEST_BATCH);
        } catch (error) {
          this.#lastError = error;
          this.#failed(error);
          const halved = this.#apart(rows, error);
          if (this.#backoff.stopped) return;
          // Looking for the one at fault takes a dozen statements at most; each that fails alone a pause.
          if (!halved) await this.#backoff.wait();
        }
      }
    } finally {
      // In the same step as the last look at what is left: cleared a tick later, what is given in
      // between would lie here until something else is given.
      this.#running = undefined;
      this.#drained();
    }
  }

  /** Lets more rows come, unless the last removal is long ago. */
  async #gather(): Promise<void> {
    const waitMs = this.#lastAt + GATHER_MS - this.#clock.now();
    if (waitMs <= 0 || this.#rows.length >= CROWD) return;
    await new Promise<void>((resolve) => this.#clock.after(waitMs, resolve));
  }

  async #complete(rows: readonly TakenRow[]): Promise<void> {
    await this.#reach('before');
    await this.#store.complete(rows.map(({ row }) => ({ slot: row.slot, seq: row.seq })));
    await this.#reach('after');
    // Before the rows are told of: whoever asks then whether this works must hear that it does.
    this.#backoff.reset();
    this.#lastError = null;
    this.#worked();
    this.#stuck.othersGo();
    this.#lastAt = this.#clock.now();
    this.#done(rows);
  }

  /** Puts back what could not be removed, but for a row that failed alone; whether it was halved. */
  #apart(rows: readonly TakenRow[], error: unknown): boolean {
    const kind = storeFailureOf(error);
    const ofTheStore =
      kind === 'away' || (kind === 'refused' && this.#backoff.failures < REFUSALS_TO_HALVE);
    const [first] = rows;
    if (!ofTheStore && rows.length === 1 && first !== undefined) {
      this.#stuck.add(first);
      return false;
    }
    this.#rows = [...rows, ...this.#rows];
    if (!ofTheStore) this.#limit = Math.ceil(rows.length / 2);
    return !ofTheStore;
  }
}
