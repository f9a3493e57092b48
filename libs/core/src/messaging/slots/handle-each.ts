import {
  noFaults,
  type Clock,
  type FaultPoints,
  type QueuedMessage,
  type SlotLease,
} from '../../ports/index.js';
import { HandlerTimeoutError } from '../handler-timeout.error.js';
import { Places } from '../places.js';
import { settlesWithin } from '../settles-within.js';
import type { RowOutcome, SlotWork, TakenRow, WorkSource } from './slot-work.js';

/** The default limit for the work on a row, in milliseconds. */
const TIMEOUT_MS = 900_000;
/** How long a handler that was told to stop is waited for, in milliseconds. */
const GRACE_MS = 10_000;
/** How long a key waits for a handler that runs on after its time limit, in milliseconds. */
const HELD_MS = 3_600_000;
/** How much longer than the limit of a handler the loop may show no progress, in milliseconds. */
const MARGIN_MS = 60_000;

export interface HandleEachOptions {
  /** The owner of the places, for the text of {@link SlotWork.problem}. */
  readonly name: string;
  readonly clock: Clock;
  /** Rows of different keys worked on at once. */
  readonly concurrency: number;
  /**
   * The signal is aborted when the right to work on the row is lost, or the time for it is over.
   * `afterDeath`: the row may have killed the previous owner of the slot. A rejection counts as a
   * retry. `lease`: that under which the row was read.
   */
  readonly handle: (
    row: QueuedMessage,
    signal: AbortSignal,
    afterDeath: boolean,
    lease: SlotLease,
  ) => Promise<RowOutcome>;
  /**
   * How long `handle` may take, in milliseconds. After that its signal is aborted, and soon after an
   * attempt is counted and its place is free for another key. Its own key waits until the promise
   * settles, or an hour for the next attempt. Default 900,000. Null: `handle` limits its own time.
   */
  readonly timeoutMs?: number | null;
  /** How long a row waits after a rejection of `handle`, in milliseconds. Default 1,000. */
  readonly retryDelayMs?: number;
  /**
   * If rows wait and none has ended for this many milliseconds, the slots are given up, so that
   * messages are not stuck behind a process that only looks alive. Default: a minute more than the time
   * limit. Without a limit, slots are never given up while all places are taken.
   */
  readonly patienceMs?: number;
  readonly faults?: FaultPoints;
}

/** Works on rows one by one: those of one key one after the other, those of different keys at once. */
export function handleEach(options: HandleEachOptions): SlotWork {
  return new HandleEach(options);
}

class HandleEach implements SlotWork {
  readonly buffer: number;
  readonly patienceMs: number;
  readonly #options: HandleEachOptions;
  readonly #faults: FaultPoints;
  readonly #places: Places;
  readonly #timeoutMs: number | null;
  #source: WorkSource | undefined;
  #stopped = false;

  constructor(options: HandleEachOptions) {
    const { concurrency, clock, timeoutMs = TIMEOUT_MS } = options;
    this.#options = options;
    this.#faults = options.faults ?? noFaults;
    this.#places = new Places(clock, concurrency);
    this.#timeoutMs = timeoutMs;
    this.buffer = Math.max(2 * concurrency, 16);
    this.patienceMs = options.patienceMs ?? (timeoutMs ?? TIMEOUT_MS) + GRACE_MS + MARGIN_MS;
  }

  attach(source: WorkSource): void {
    this.#source = source;
  }

  wake(): void {
    const source = this.#source;
    if (source === undefined || this.#stopped || this.#places.free <= 0) return;
    for (const taken of source.take(this.#places.free, 1, 0)) {
      source.progressed();
      this.#places.take();
      void this.#work(source, taken);
    }
  }

  stop(): void {
    this.#stopped = true;
  }

  get waitsForItself(): boolean {
    return (
      this.#timeoutMs === null && this.#options.patienceMs === undefined && this.#places.free <= 0
    );
  }

  problem(): string | null {
    return this.#places.problem(this.#options.name);
  }

  async #work(source: WorkSource, taken: TakenRow): Promise<void> {
    const { clock } = this.#options;
    const stop = source.stopOf(taken);
    const handling = this.#outcomeOf(taken, stop.signal);
    const limit = this.#timeoutMs;
    if (limit !== null && !(await settlesWithin(handling, clock, limit))) {
      const error = new HandlerTimeoutError(taken.row.message.type, limit);
      stop.abort(error);
      if (!(await settlesWithin(handling, clock, GRACE_MS))) {
        this.#places.release();
        source.progressed();
        source.overdue(taken, { delayMs: HELD_MS, error });
        this.wake();
        const late = await settlesWithin(handling, clock, HELD_MS);
        // The attempt has been counted already, when the time limit was over.
        const next: RowOutcome = { kind: 'retry', delayMs: 0, counts: false, error };
        source.settle(taken, late ? await handling : next);
        return;
      }
    }
    const outcome = await handling;
    this.#places.release();
    source.progressed();
    source.settle(taken, outcome);
  }

  async #outcomeOf(taken: TakenRow, signal: AbortSignal): Promise<RowOutcome> {
    const { handle, retryDelayMs = 1_000 } = this.#options;
    try {
      await this.#faults.reach('queue.before-handle', taken.row.message.id);
      const outcome = await handle(taken.row, signal, taken.afterDeath, taken.lease);
      await this.#faults.reach('queue.after-handle', taken.row.message.id);
      return outcome;
    } catch (error) {
      return { kind: 'retry', delayMs: retryDelayMs, counts: true, error };
    }
  }
}
