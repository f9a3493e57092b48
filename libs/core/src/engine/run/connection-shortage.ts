import type { Clock, Logger } from '../../ports/index.js';
import type { StepTransactions, TransactionPlace } from '../step-transactions.js';
import type { ConcurrencyPermits } from './concurrency-permits.js';
import type { Timers } from './timers.js';

const FIRST_PAUSE_MS = 250;
const LONGEST_PAUSE_MS = 10_000;
/** How long a place is kept for a step whose start is being journaled, in milliseconds. */
const KEPT_MS = 1_000;
const FIRST_WARNING_MS = 30_000;
const NEXT_WARNING_MS = 60_000;

export interface ConnectionShortageParts {
  readonly permits: ConcurrencyPermits;
  readonly timers: Timers;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly transactions: Pick<StepTransactions, 'reserve'>;
  /** How many transactional steps run at once at most. */
  readonly maxTransactions: number;
}

type State =
  /** Steps start as permits allow. */
  | { readonly kind: 'none' }
  /** A step got no connection in time. Nothing asks for one until the pause is over. */
  | { readonly kind: 'pause'; readonly stop: () => void }
  /** The next step starts once there is a place for it, which nobody needs yet. */
  | { readonly kind: 'closed' }
  /** Waits for a place. */
  | { readonly kind: 'in_line'; readonly leave: AbortController }
  /** Keeps a place for the one step that may start now. */
  | { readonly kind: 'offers'; readonly place: TransactionPlace; readonly stop: () => void };

/**
 * Holds back transactional steps when one of them got no connection in time, because handlers and others
 * use them all. A start that is in the journal while its step waits would count as a crash if the process
 * died, although the step had never run. So the engine itself waits in line for a place, for as long as
 * that takes, and has one step start when it has got it. The shortage ends when a place is free at once.
 * Where no places can be reserved, steps are tried again after pauses.
 */
export class ConnectionShortage {
  readonly #parts: ConnectionShortageParts;
  #state: State = { kind: 'none' };
  #misses = 0;
  #stopWarning: (() => void) | null = null;

  constructor(parts: ConnectionShortageParts) {
    this.#parts = parts;
    parts.permits.onTransactionalWait = () => {
      if (this.#state.kind === 'closed') this.#lineUp();
    };
  }

  /**
   * A step got no connection in time. `hadPlace`: a place was kept for it, so that the line was not what
   * it waited in, and another place would not help either.
   */
  missed(hadPlace: boolean): void {
    const { kind } = this.#state;
    if (kind === 'pause' || (kind !== 'none' && !hadPlace)) return;
    this.#leave();
    this.#pause();
  }

  /** A step got a connection. */
  got(): void {
    this.#misses = 0;
    if (this.#state.kind !== 'pause') return;
    this.#state.stop();
    this.#goOn();
  }

  /** The place that is kept for the one step that may start, if there is one. */
  takePlace(): TransactionPlace | undefined {
    if (this.#state.kind !== 'offers') return undefined;
    const { place, stop } = this.#state;
    stop();
    this.#parts.permits.limitTransactional(0);
    this.#goOn();
    return place;
  }

  /** The engine is closed, and a place that it has, or gets later, is for others. */
  close(): void {
    this.#leave();
    this.#state = { kind: 'none' };
    this.#stopWarning?.();
  }

  #pause(): void {
    const pauseMs = Math.min(FIRST_PAUSE_MS * 2 ** Math.min(this.#misses, 16), LONGEST_PAUSE_MS);
    this.#misses += 1;
    this.#parts.permits.limitTransactional(0);
    this.#warnLater();
    const stop = this.#parts.timers.set(pauseMs, () => this.#goOn());
    this.#state = { kind: 'pause', stop };
  }

  #goOn(): void {
    const { permits, transactions } = this.#parts;
    if (transactions.reserve === undefined) {
      this.#open();
    } else if (permits.transactionalAwaited) {
      this.#lineUp();
    } else {
      this.#state = { kind: 'closed' };
      this.#stopWarning?.();
      this.#stopWarning = null;
    }
  }

  #lineUp(): void {
    const leave = new AbortController();
    this.#state = { kind: 'in_line', leave };
    this.#warnLater();
    const place = this.#parts.transactions.reserve?.(leave.signal);
    place?.then(
      (given) => this.#place(leave, given),
      () => {
        // It has left the line, or there is none any more.
        if (this.#isIn(leave)) this.#open();
      },
    );
  }

  #place(leave: AbortController, place: TransactionPlace): void {
    const { permits, timers } = this.#parts;
    if (!this.#isIn(leave)) {
      place.release();
    } else if (!place.waited) {
      place.release();
      this.#open();
    } else {
      const stop = timers.set(KEPT_MS, () => {
        // No saga could use it, for instance since its row is locked. Handlers have it meanwhile.
        place.release();
        this.#pause();
      });
      this.#state = { kind: 'offers', place, stop };
      permits.limitTransactional(1);
    }
  }

  #isIn(leave: AbortController): boolean {
    return this.#state.kind === 'in_line' && this.#state.leave === leave;
  }

  #leave(): void {
    switch (this.#state.kind) {
      case 'none':
      case 'closed':
        return;
      case 'pause':
        this.#state.stop();
        return;
      case 'in_line':
        this.#state.leave.abort();
        return;
      case 'offers':
        this.#state.stop();
        this.#state.place.release();
        return;
    }
  }

  #open(): void {
    this.#state = { kind: 'none' };
    this.#stopWarning?.();
    this.#stopWarning = null;
    this.#parts.permits.limitTransactional(Number.POSITIVE_INFINITY);
  }

  /** Without it, a step that never gets its turn would wait in silence. */
  #warnLater(): void {
    if (this.#stopWarning !== null) return;
    const { clock, timers } = this.#parts;
    const since = clock.now();
    const warn = (): void => {
      this.#warn(clock.now() - since);
      this.#stopWarning = timers.set(NEXT_WARNING_MS, warn);
    };
    this.#stopWarning = timers.set(FIRST_WARNING_MS, warn);
  }

  #warn(ms: number): void {
    const { permits, logger, maxTransactions } = this.#parts;
    if (!permits.transactionalAwaited) return;
    logger.warn(
      `Transactional steps of sagas have been short of connections for ${String(Math.round(ms / 1_000))} s: at most ${String(maxTransactions)} transactions of handlers and steps are open at once, and others use them. Give the DataSource a larger pool (poolSize), or let fewer handlers run at once (inbox: { concurrency }).`,
    );
  }
}
