import type { Clock, NewSaga, SagaStore } from '../../ports/index.js';
import { storeFailureOf } from '../../errors/index.js';
import type { RepeatedFailures } from '../../retry/index.js';
import { EngineClosedError } from '../errors.js';
import { settledStart, type SettledStart } from './settled-start.js';

interface Waiting {
  readonly saga: NewSaga;
  readonly resolve: (outcome: SettledStart) => void;
  readonly reject: (error: unknown) => void;
  /** When its idempotency key was first found locked by another transaction; null: never. */
  busySince: number | null;
}

export interface StartFlusherOptions {
  readonly store: Pick<SagaStore, 'start'>;
  readonly clock: Clock;
  /** Follows the starts that fail, for metrics and readiness. */
  readonly failures: RepeatedFailures;
  readonly flushers: number;
  readonly share: number;
  readonly group: number;
}

/**
 * The most bytes that one statement sends, unless its first saga alone is larger; as with transitions.
 */
const MOST_BYTES = 8 * 1_024 * 1_024;
/** Name of the work, as the subject of log lines about its failures. */
const WHAT = 'Starting sagas';
/** How often starts without an answer are repeated before their callers get an error. */
const MOST_REPEATS = 4;
/** How long a start waits for another transaction that holds its idempotency key, in milliseconds. */
const KEY_WAIT_MS = 10_000;
/** Pauses between two attempts at keys that other transactions hold, in milliseconds. */
const FIRST_PAUSE_MS = 20;
const LONGEST_PAUSE_MS = 250;

/**
 * Starts sagas together, as transitions are flushed. A start that had no answer can be repeated safely:
 * if the first attempt succeeded, its id or key is found.
 *
 * No start waits in the database. A start whose key another open transaction holds is delayed and tried
 * again together with others like it, apart from the starts that need not wait.
 */
export class StartFlusher {
  readonly #options: StartFlusherOptions;
  #queue: Waiting[] = [];
  #contended: Waiting[] = [];
  #inFlight = 0;
  #scheduled = false;
  #retrying = false;
  #closed = false;

  constructor(options: StartFlusherOptions) {
    this.#options = options;
  }

  /**
   * @throws LockTimeoutError when another transaction holds the saga's key for too long
   * @throws EngineClosedError when the engine is closed before the store has answered
   */
  submit(saga: NewSaga): Promise<SettledStart> {
    return new Promise((resolve, reject) => {
      if (this.#closed) {
        reject(new EngineClosedError());
        return;
      }
      this.#queue.push({ saga, resolve, reject, busySince: null });
      this.#schedule();
    });
  }

  /** Ends all use of the store. Waiting callers get an `EngineClosedError`. */
  close(): void {
    this.#closed = true;
    for (const one of [...this.#queue.splice(0), ...this.#contended.splice(0)]) {
      one.reject(new EngineClosedError());
    }
  }

  #schedule(): void {
    if (this.#scheduled) return;
    this.#scheduled = true;
    process.nextTick(() => {
      this.#scheduled = false;
      const { flushers, share } = this.#options;
      while (
        this.#queue.length > 0 &&
        this.#inFlight < flushers &&
        (this.#inFlight === 0 || this.#queue.length >= share)
      ) {
        this.#inFlight += 1;
        void this.#flush(this.#queue.splice(0, this.#fitting(this.#queue))).finally(() => {
          this.#inFlight -= 1;
          this.#schedule();
        });
      }
    });
  }

  /** How many of the waiting starts fit into one statement, which is held in memory whole. */
  #fitting(waiting: readonly Waiting[]): number {
    const most = Math.min(this.#options.group, waiting.length);
    let bytes = 0;
    for (let at = 0; at < most; at += 1) {
      const one = waiting[at];
      bytes += one === undefined ? 0 : bytesOf(one.saga);
      if (at > 0 && bytes > MOST_BYTES) return at;
    }
    return most;
  }

  async #flush(batch: readonly Waiting[]): Promise<void> {
    const { clock, store, failures } = this.#options;
    let last: unknown;
    for (let repeat = 0; repeat <= MOST_REPEATS; repeat += 1) {
      if (repeat > 0) await this.#pause(20 * 4 ** (repeat - 1));
      if (this.#closed) {
        last = new EngineClosedError();
        break;
      }
      try {
        const outcomes = await store.start(batch.map((one) => one.saga));
        if (!failures.empty) failures.worked(WHAT);
        batch.forEach((one, at) => {
          const outcome = outcomes[at];
          if (outcome?.kind === 'busy') one.busySince ??= clock.now();
          const waitedMs = clock.now() - (one.busySince ?? clock.now());
          if (outcome?.kind === 'busy' && waitedMs < KEY_WAIT_MS) {
            this.#again(one);
            return;
          }
          try {
            one.resolve(settledStart(one.saga, outcome, waitedMs));
          } catch (error) {
            one.reject(error);
          }
        });
        return;
      } catch (error) {
        last = error;
        failures.failed(WHAT, error);
        // Nothing was started, and only a person can change that.
        if (storeFailureOf(error) === 'refused') break;
      }
    }
    for (const one of batch) one.reject(last);
  }

  #again(one: Waiting): void {
    if (this.#closed) {
      one.reject(new EngineClosedError());
      return;
    }
    this.#contended.push(one);
    if (!this.#retrying) void this.#retry();
  }

  /**
   * Tries delayed starts again, in one statement at a time, which runs beside the statements of other
   * starts.
   */
  async #retry(): Promise<void> {
    this.#retrying = true;
    let pauseMs = FIRST_PAUSE_MS;
    while (this.#contended.length > 0) {
      await this.#pause(pauseMs);
      const round = this.#contended;
      const before = round.length;
      this.#contended = [];
      while (round.length > 0) await this.#flush(round.splice(0, this.#fitting(round)));
      const progress = this.#contended.length < before;
      pauseMs = progress ? FIRST_PAUSE_MS : Math.min(2 * pauseMs, LONGEST_PAUSE_MS);
    }
    this.#retrying = false;
  }

  #pause(ms: number): Promise<void> {
    return new Promise((resolve) => this.#options.clock.after(ms, resolve));
  }
}

/** The approximate number of bytes that a start sends. */
function bytesOf({ entries, messages }: NewSaga): number {
  let bytes = 0;
  for (const { data } of entries) bytes += data?.length ?? 0;
  for (const { payload } of messages) bytes += payload.byteLength;
  return bytes;
}
