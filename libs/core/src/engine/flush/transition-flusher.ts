import { LockTimeoutError, errorText } from '../../errors/index.js';
import type {
  Clock,
  Logger,
  SagaStore,
  SagaTransition,
  TransitionOutcome,
} from '../../ports/index.js';

export interface FlusherOptions {
  readonly store: Pick<SagaStore, 'flush' | 'settle'>;
  readonly clock: Clock;
  readonly logger: Logger;
  /** Flushes in flight at once. They share the queue. */
  readonly flushers: number;
  /** A further flush beside one in flight waits for at least this many transitions. */
  readonly share: number;
  /** At most this many transitions in one flush. */
  readonly group: number;
  readonly onFlush: (size: number, durationMs: number) => void;
  /** Called around each flush: fault points of tests. */
  readonly before?: () => void | Promise<void>;
  readonly after?: () => void | Promise<void>;
}

interface Waiting {
  readonly transition: SagaTransition;
  readonly resolve: (outcome: TransitionOutcome) => void;
  busy: number;
}

const FIRST_PAUSE_MS = 20;
const LONGEST_PAUSE_MS = 2_000;
const FIRST_BUSY_MS = 2;
const LONGEST_BUSY_MS = 200;

/**
 * Commits transitions of many sagas together. What queues while flushes are in flight goes into the
 * next one; with little load a transition goes at the end of the current tick. Each saga has at most
 * one transition here at a time: its turn sees to that.
 */
export class TransitionFlusher {
  readonly #options: FlusherOptions;
  #queue: Waiting[] = [];
  #inFlight = 0;
  #scheduled = false;
  readonly #begun = new Map<number, number>();
  #flushes = 0;
  /** Since when every call has failed. */
  #failingSince: number | null = null;

  constructor(options: FlusherOptions) {
    this.#options = options;
  }

  /** Resolves with the outcome once it is known; an unreachable store only makes it wait. */
  submit(transition: SagaTransition): Promise<TransitionOutcome> {
    return new Promise((resolve) => {
      this.#queue.push({ transition, resolve, busy: 0 });
      this.#schedule();
    });
  }

  /**
   * For how long the store has given no answer to what it is asked: by silence, or by failing each time,
   * as behind a pool that gets no connection while the heartbeat has its own.
   */
  unansweredMs(): number {
    const now = this.#options.clock.now();
    let oldest = this.#failingSince === null ? 0 : now - this.#failingSince;
    for (const begun of this.#begun.values()) oldest = Math.max(oldest, now - begun);
    return oldest;
  }

  get idle(): boolean {
    return this.#queue.length === 0 && this.#inFlight === 0;
  }

  /** At the end of the tick: whatever settles together goes together. */
  #schedule(): void {
    if (this.#scheduled) return;
    this.#scheduled = true;
    process.nextTick(() => {
      this.#scheduled = false;
      this.#start();
    });
  }

  #start(): void {
    const { flushers, share, group } = this.#options;
    while (
      this.#queue.length > 0 &&
      this.#inFlight < flushers &&
      (this.#inFlight === 0 || this.#queue.length >= share)
    ) {
      // Shared among those that are free: two halves in parallel beat one whole.
      const part = Math.ceil(this.#queue.length / (flushers - this.#inFlight));
      const batch = this.#queue.splice(0, Math.min(group, Math.max(share, part)));
      this.#inFlight += 1;
      void this.#flush(batch).finally(() => {
        this.#inFlight -= 1;
        this.#schedule();
      });
    }
  }

  async #flush(batch: readonly Waiting[]): Promise<void> {
    const { clock, store, logger } = this.#options;
    const number = (this.#flushes += 1);
    const begun = clock.now();
    this.#begun.set(number, begun);
    let outcomes: readonly TransitionOutcome[];
    try {
      await this.#options.before?.();
      outcomes = await store.flush(batch.map((one) => one.transition));
      await this.#options.after?.();
    } catch (error) {
      logger.warn('A flush of saga transitions had no answer; each of them is looked up.', {
        transitions: batch.length,
        error: errorText(error),
      });
      this.#begun.delete(number);
      this.#failingSince ??= begun;
      await this.#settleAll(batch);
      return;
    }
    this.#begun.delete(number);
    this.#failingSince = null;
    this.#options.onFlush(batch.length, clock.now() - begun);
    batch.forEach((one, at) => {
      const outcome = outcomes[at];
      if (outcome === undefined) void this.#settleAll([one]);
      else if (outcome.kind === 'busy') this.#again(one);
      else one.resolve(outcome);
    });
  }

  /** The row was locked: once more, alone and a little later, so that it delays nobody else. */
  #again(one: Waiting): void {
    const pause = Math.min(FIRST_BUSY_MS * 2 ** one.busy, LONGEST_BUSY_MS);
    one.busy += 1;
    this.#options.clock.after(pause, () => void this.#flush([one]));
  }

  /**
   * No answer means unknown: the statement may still be running on the server. Looked up under the
   * row's lock, and repeated only where it is certain not to have been applied.
   */
  async #settleAll(batch: readonly Waiting[]): Promise<void> {
    let pause = FIRST_PAUSE_MS;
    let left = [...batch];
    while (left.length > 0) {
      await this.#pause(pause);
      pause = Math.min(pause * 2, LONGEST_PAUSE_MS);
      const open: Waiting[] = [];
      for (const one of left) {
        try {
          const outcome = await this.#options.store.settle(one.transition);
          this.#failingSince = null;
          if (outcome.kind === 'not_applied') this.#queue.push(one);
          else if (outcome.kind === 'busy') open.push(one);
          else one.resolve(outcome);
        } catch (error) {
          // The store is still away. Whoever waits goes on waiting; nothing is lost meanwhile.
          open.push(one);
          // A lock that somebody holds is an answer too.
          if (error instanceof LockTimeoutError) this.#failingSince = null;
        }
      }
      left = open;
      this.#schedule();
    }
  }

  #pause(ms: number): Promise<void> {
    return new Promise((resolve) => this.#options.clock.after(ms, resolve));
  }
}
