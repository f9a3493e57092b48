import { storeFailureOf } from '../../errors/index.js';
import type { Clock, SlotQueueStore } from '../../ports/index.js';
import { Backoff } from './backoff.js';
import { RowLockedError } from './row-locked.error.js';
import type { TakenRow } from './slot-work.js';
import { StuckRows, type StuckRow } from './stuck-rows.js';

/**
 * How long a few rows wait for others, to be removed together with them, in milliseconds. Nothing waits
 * for a removal.
 */
const GATHER_MS = 20;
/** From this many rows on, they are removed at once. */
const CROWD = 32;

/**
 * After this many refusals of a whole batch in a row it is halved, because a single row may be the
 * cause.
 */
const REFUSALS_TO_HALVE = 3;
const LARGEST_BATCH = 10_000;

/**
 * Removes rows that are done in the background, while the next rows are worked on. A removal needs no
 * lease, since an acknowledged row is done whoever reports it. A row that cannot be removed stays in
 * memory; otherwise it would be published again and again.
 *
 * A batch that fails is halved, down to one row. A row that fails alone is delayed and tried again by
 * itself, so that the others are removed and reading goes on. So is a row that another transaction has
 * locked, at once, because the store says which one it is. If the store removes nothing at all, each row
 * is tried alone, ever more slowly, and until all were tried nothing more is read.
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
    /**
     * Called for a row that could not be removed even alone: it is tried again later, and others go on.
     */
    readonly setAside: (row: TakenRow) => void;
    readonly stuck: (row: StuckRow) => void;
    /** Called when no row waits any more except delayed ones. */
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
      remove: async (row) => {
        const locked = await this.#complete([row]);
        if (locked.length > 0) throw new RowLockedError(row.row);
      },
      setAside: options.setAside,
      stuck: options.stuck,
    });
  }

  /** Whether no row waits except delayed ones, which may stay so. */
  get idle(): boolean {
    return this.#running === undefined;
  }

  /** Resolves when the present work has ended. */
  async settled(): Promise<void> {
    await this.#running;
  }

  /** How many times since the last row was removed the store could remove nothing. */
  get failures(): number {
    return this.#backoff.failures;
  }

  /** How many rows are done and could not be removed, even alone. */
  get stuck(): number {
    return this.#stuck.size;
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
          for (const locked of await this.#complete(rows)) this.#stuck.add(locked);
          this.#limit = Math.min(2 * this.#limit, LARGEST_BATCH);
        } catch (error) {
          this.#lastError = error;
          this.#failed(error);
          const halved = this.#apart(rows, error);
          if (this.#backoff.stopped) return;
          // The search for the row at fault takes a dozen statements at most; there is a pause after
          // each row that fails alone.
          if (!halved) await this.#backoff.wait();
        }
      }
    } finally {
      // Cleared in the same step as the last check for work. A tick later, a row added in between would
      // wait until another one is added.
      this.#running = undefined;
      this.#drained();
    }
  }

  /** Waits for more rows, unless the last removal is long ago. */
  async #gather(): Promise<void> {
    const waitMs = this.#lastAt + GATHER_MS - this.#clock.now();
    if (waitMs <= 0 || this.#rows.length >= CROWD) return;
    await new Promise<void>((resolve) => this.#clock.after(waitMs, resolve));
  }

  /** Removes rows. Returns those that another transaction has locked, which are still there. */
  async #complete(rows: readonly TakenRow[]): Promise<readonly TakenRow[]> {
    await this.#reach('before');
    const left = await this.#store.complete(
      rows.map(({ row }) => ({ slot: row.slot, seq: row.seq })),
    );
    await this.#reach('after');
    // Reset before the rows are reported, so that a caller who then asks for the failures gets 0.
    this.#backoff.reset();
    this.#lastError = null;
    this.#worked();
    this.#lastAt = this.#clock.now();
    const seqs = new Set(left.map(({ seq }) => seq));
    // Nearly always no row is locked, and nothing is copied.
    const locked = seqs.size === 0 ? [] : rows.filter(({ row }) => seqs.has(row.seq));
    const removed = seqs.size === 0 ? rows : rows.filter(({ row }) => !seqs.has(row.seq));
    if (removed.length > 0) {
      this.#stuck.othersGo();
      this.#done(removed);
    }
    return locked;
  }

  /**
   * Puts back the rows that could not be removed, except a row that failed alone. Returns whether the
   * batch was halved.
   */
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
