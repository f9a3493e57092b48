import { LockTimeoutError } from '../../errors/index.js';
import type {
  Clock,
  SagaStore,
  SagaTransition,
  SettledOutcome,
  TransitionOutcome,
} from '../../ports/index.js';
import type { RepeatedFailure } from '../../retry/index.js';
import { EngineClosedError } from '../errors.js';
import type { FactStream } from '../facts/index.js';
import { RetryLane } from './retry-lane.js';

export interface FlusherOptions {
  readonly store: Pick<SagaStore, 'flush' | 'settle'>;
  readonly clock: Clock;
  readonly failure: RepeatedFailure;
  /** Flushes in flight at once. They share the queue. */
  readonly flushers: number;
  /** A further flush beside one in flight waits for at least this many transitions. */
  readonly share: number;
  /** At most this many transitions in one flush. */
  readonly group: number;
  readonly facts: FactStream;
  /** Called around each flush: fault points of tests. */
  readonly before?: () => void | Promise<void>;
  readonly after?: () => void | Promise<void>;
}

interface RowState {
  readonly mayBeBusy?: boolean;
  readonly wasBusy?: boolean;
}

interface Waiting {
  readonly transition: SagaTransition;
  readonly resolve: (outcome: TransitionOutcome) => void;
  readonly reject: (error: unknown) => void;
  /** Whether it is answered `busy` if its row stays locked. */
  readonly mayBeBusy: boolean;
  /** Since when its row has been locked. */
  busySince: number | null;
  /** How often its row was locked. */
  busy: number;
  /** How often it got no answer. */
  lost: number;
  /** How often the store refused a flush that it was in. */
  refused: number;
}

/** A transition whose answer was lost. */
interface Lost {
  readonly transition: SagaTransition;
  readonly tell: (outcome: SettledOutcome) => void;
  readonly reject: (error: unknown) => void;
  pauseMs: number;
}

const FIRST_PAUSE_MS = 20;
const LONGEST_PAUSE_MS = 2_000;
const LONGEST_REFUSED_MS = 10_000;
const FIRST_BUSY_MS = 2;
const LONGEST_BUSY_MS = 200;
/** How long the row of a transition may stay locked until it is answered `busy`, in milliseconds. */
const MOST_BUSY_MS = 1_000;
/**
 * How many lost transitions are looked up at once. Each look may wait for a lock, and uses a connection
 * meanwhile.
 */
const LOOKS = 4;

/**
 * Commits transitions of many sagas together. Transitions that are queued while flushes are in flight
 * go into the next one; with little load a transition is sent at the end of the current tick. Because
 * of its turn, each saga has at most one transition here at a time, so the queue is bounded by the
 * number of sagas in this process.
 *
 * A transition in trouble leaves the queue, so that it does not delay the others. If its row was
 * locked, it is tried again with others like it, in one flush at a time. If its answer was lost, it is
 * looked up, a few at a time. If the store refuses it, it waits until the store takes it.
 */
export class TransitionFlusher {
  readonly #options: FlusherOptions;
  readonly #queue: Waiting[] = [];
  readonly #busy: RetryLane<Waiting>;
  readonly #lost: RetryLane<Lost>;
  readonly #refused: RetryLane<Waiting>;
  #inFlight = 0;
  #scheduled = false;
  readonly #begun = new Map<number, number>();
  #flushes = 0;
  /** Since when every call has failed. */
  #failingSince: number | null = null;
  #closed = false;

  constructor(options: FlusherOptions) {
    this.#options = options;
    const { clock, group } = options;
    this.#busy = new RetryLane({ clock, lanes: 1, group, work: (batch) => this.#flush(batch) });
    this.#refused = new RetryLane({
      clock,
      lanes: 1,
      group: 1,
      work: (some) => this.#probe(some),
    });
    this.#lost = new RetryLane({
      clock,
      lanes: LOOKS,
      group: 1,
      work: async (some) => {
        for (const one of some) await this.#look(one);
      },
    });
  }

  /**
   * Resolves with the outcome once it is known; an unreachable store only makes it wait. So does a
   * locked row, unless `mayBeBusy`: then the outcome is `busy` after a second, and nothing was changed.
   * `wasBusy`: the row was locked a moment ago, so the transition waits apart from the others at once.
   *
   * @throws EngineClosedError when the engine is closed before that
   */
  submit(
    transition: SagaTransition,
    { mayBeBusy = false, wasBusy = false }: RowState = {},
  ): Promise<TransitionOutcome> {
    return new Promise((resolve, reject) => {
      if (this.#closed) {
        reject(new EngineClosedError());
        return;
      }
      const tries = { busySince: null, busy: 0, lost: 0, refused: 0 };
      const one: Waiting = { transition, resolve, reject, mayBeBusy, ...tries };
      if (wasBusy) {
        this.#again(one);
        return;
      }
      this.#queue.push(one);
      this.#schedule();
    });
  }

  /**
   * Finds out the outcome of a transition that was written elsewhere and had no answer. Resolves once
   * it is known.
   *
   * @throws EngineClosedError when the engine is closed before that
   */
  lookUp(transition: SagaTransition): Promise<SettledOutcome> {
    return new Promise((tell, reject) => {
      this.#lookLater({ transition, tell, reject, pauseMs: 0 });
    });
  }

  /** Asks the store for nothing any more. Callers that wait get the error that the engine is closed. */
  close(): void {
    this.#closed = true;
    const waiting = [
      ...this.#queue.splice(0),
      ...this.#busy.clear(),
      ...this.#lost.clear(),
      ...this.#refused.clear(),
    ];
    for (const { reject } of waiting) reject(new EngineClosedError());
  }

  /**
   * For how many milliseconds the store has not answered any flush, because requests hang or fail each
   * time. That happens for instance behind a pool that gets no connection while the heartbeat has its
   * own.
   */
  unansweredMs(): number {
    const now = this.#options.clock.now();
    let oldest = this.#failingSince === null ? 0 : now - this.#failingSince;
    for (const begun of this.#begun.values()) oldest = Math.max(oldest, now - begun);
    return oldest;
  }

  /** Sends at the end of the tick, so that transitions which come together are flushed together. */
  #schedule(): void {
    if (this.#scheduled) return;
    this.#scheduled = true;
    process.nextTick(() => {
      this.#scheduled = false;
      this.#start();
    });
  }

  #start(): void {
    const { flushers, share, group, failure } = this.#options;
    if (failure.refused && failure.pauseLeftMs > 0) {
      for (const one of this.#queue.splice(0)) this.#refused.add(one, failure.pauseLeftMs);
      return;
    }
    while (
      this.#queue.length > 0 &&
      this.#inFlight < flushers &&
      (this.#inFlight === 0 || this.#queue.length >= share)
    ) {
      // The queue is shared among the free flushers, since two halves in parallel are faster than one
      // whole.
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
    const { clock, store, failure, facts } = this.#options;
    const number = (this.#flushes += 1);
    const begun = clock.now();
    this.#begun.set(number, begun);
    let outcomes: readonly TransitionOutcome[];
    try {
      await this.#options.before?.();
      outcomes = await store.flush(batch.map((one) => one.transition));
      await this.#options.after?.();
    } catch (error) {
      this.#begun.delete(number);
      const pauseMs = failure.failed(error);
      if (failure.refused) {
        // The store has answered, and it is certain that nothing of the flush was written.
        this.#failingSince = null;
        for (const one of batch) this.#refuse(one, pauseMs);
      } else {
        this.#failingSince ??= begun;
        for (const one of batch) this.#lose(one);
      }
      return;
    }
    this.#begun.delete(number);
    this.#failingSince = null;
    failure.worked();
    if (facts.wants('transitions_flushed')) {
      const durationMs = clock.now() - begun;
      facts.tell({ kind: 'transitions_flushed', size: batch.length, durationMs });
    }
    batch.forEach((one, at) => {
      const outcome = outcomes[at];
      if (outcome === undefined) this.#lose(one);
      else if (outcome.kind === 'busy') this.#again(one);
      else one.resolve(outcome);
    });
  }

  /**
   * The store refuses the transition for a reason that a person has to remove, such as a missing grant.
   * It is tried again after a growing pause, and alone, so that the others go on if only this one is
   * refused, by a policy for rows for instance.
   */
  #refuse(one: Waiting, pauseMs: number): void {
    if (this.#closed) {
      one.reject(new EngineClosedError());
      return;
    }
    const ownMs = Math.min(FIRST_PAUSE_MS * 2 ** Math.min(one.refused, 16), LONGEST_REFUSED_MS);
    one.refused += 1;
    this.#refused.add(one, Math.max(pauseMs, ownMs));
  }

  /** Tries one of the refused transitions on behalf of all of them; during the pause none is tried. */
  async #probe(some: readonly Waiting[]): Promise<void> {
    const { pauseLeftMs } = this.#options.failure;
    if (pauseLeftMs > 0) for (const one of some) this.#refused.add(one, pauseLeftMs);
    else await this.#flush(some);
  }

  /**
   * The row was locked, so the transition is tried again a little later, together with others like it.
   */
  #again(one: Waiting): void {
    if (this.#closed) {
      one.reject(new EngineClosedError());
      return;
    }
    const now = this.#options.clock.now();
    one.busySince ??= now;
    if (one.mayBeBusy && now - one.busySince >= MOST_BUSY_MS) {
      one.resolve({ kind: 'busy' });
      return;
    }
    const pauseMs = Math.min(FIRST_BUSY_MS * 2 ** Math.min(one.busy, 16), LONGEST_BUSY_MS);
    one.busy += 1;
    this.#busy.add(one, pauseMs);
  }

  /**
   * Without an answer the outcome is unknown, since the statement may still be running on the server.
   * It is looked up under the lock of the row, and repeated only if it is certain not to have been
   * applied.
   */
  #lose(one: Waiting): void {
    const pauseMs = Math.min(FIRST_PAUSE_MS * 2 ** Math.min(one.lost, 16), LONGEST_PAUSE_MS);
    one.lost += 1;
    const { transition, resolve, reject } = one;
    const tell = (outcome: SettledOutcome): void => {
      if (outcome.kind !== 'not_applied') {
        resolve(outcome);
      } else if (this.#closed) {
        reject(new EngineClosedError());
      } else {
        this.#queue.push(one);
        this.#schedule();
      }
    };
    this.#lookLater({ transition, tell, reject, pauseMs });
  }

  #lookLater(one: Lost): void {
    if (this.#closed) one.reject(new EngineClosedError());
    else this.#lost.add(one, one.pauseMs);
  }

  async #look(one: Lost): Promise<void> {
    try {
      const outcome = await this.#options.store.settle(one.transition);
      this.#failingSince = null;
      if (outcome.kind !== 'busy') {
        one.tell(outcome);
        return;
      }
    } catch (error) {
      // The store is still away. The callers go on waiting, and nothing is lost meanwhile. A lock
      // timeout counts as an answer of the store.
      if (error instanceof LockTimeoutError) this.#failingSince = null;
    }
    one.pauseMs = Math.min(Math.max(one.pauseMs, FIRST_PAUSE_MS / 2) * 2, LONGEST_PAUSE_MS);
    this.#lookLater(one);
  }
}
