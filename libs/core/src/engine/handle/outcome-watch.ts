import { storeFailureOf } from '../../errors/index.js';
import type { Clock, SagaStatus, SagaStore, Timer, WakeUps } from '../../ports/index.js';
import type { RepeatedFailures } from '../../retry/index.js';
import { SagaNotFoundError, SagaWaitEndedError, TooManySagaWaitsError } from '../errors.js';
import { decodeEntry, outputIn, StoredOutput, UnreadableJournalError } from '../journal/index.js';
import { emptyState, fold } from '../state/index.js';
import { isSettled, outcomeOf, type SagaOutcome } from './saga-outcome.js';

/** A caller that waits for the end of a saga. */
export interface OutcomeWaiter {
  resolve(outcome: SagaOutcome<unknown>): void;
  reject(error: Error): void;
}

export interface OutcomeWatchOptions {
  readonly store: Pick<SagaStore, 'statusesOf' | 'history' | 'dataOf'>;
  readonly clock: Clock;
  readonly wakeUps: WakeUps;
  /** Whether this process runs the saga, and therefore reports its end. */
  readonly runsHere: (id: string) => boolean;
  readonly maxWaits: number;
  /** Follows the looks that fail, for metrics and readiness. */
  readonly failures: RepeatedFailures;
}

/** A saga that is waited for. */
interface Awaited {
  readonly waiters: Set<OutcomeWaiter>;
  /** When the saga is looked up next, by the monotonic clock, and the pause after that. */
  lookAt: number;
  pauseMs: number;
}

const FIRST_PAUSE_MS = 25;
/**
 * The first pause for a saga that runs in this process, in ms. Such a saga reports its end, so most waits
 * are over by then and cost no look.
 */
const FIRST_PAUSE_HERE_MS = 250;
const LONGEST_PAUSE_MS = 1_000;
/** Names of the two reads, as subjects of log lines about their failures. */
const LOOKING = 'Looking for the ends of sagas';
const READING = 'Reading the ends of sagas';
/** The most sagas that one statement asks for. */
const BATCH = 500;
/** Journals of ended sagas that are read at once. */
const READERS = 4;

/**
 * Waits for the ends of sagas, wherever they run. A saga that ends in this process is reported at once,
 * one that ends in another process by a hint, and a look at the store now and then finds ends whose
 * hint was lost.
 *
 * Each saga is looked up after a pause of its own, from 25 ms to a second, so that a new wait neither
 * delays nor repeats the looks at other sagas. One round is under way at a time and asks in batches, so
 * the load on the store does not depend on how hints and new waits arrive.
 */
export class OutcomeWatch {
  readonly #options: OutcomeWatchOptions;
  readonly #awaited = new Map<string, Awaited>();
  readonly #stopHints: () => void;
  #waits = 0;
  #timer: Timer | null = null;
  #timerAt = Number.POSITIVE_INFINITY;
  #looking = false;
  #scheduled = false;
  #closed = false;

  constructor(options: OutcomeWatchOptions) {
    this.#options = options;
    this.#stopHints = options.wakeUps.on('ended', (id) => {
      if (id === undefined) this.#hurryAll();
      else this.#hurry(id);
    });
  }

  /**
   * Tells the waiter once the saga has ended, or why its end cannot be awaited. The returned function
   * ends the wait.
   */
  wait(id: string, waiter: OutcomeWaiter): () => void {
    const { clock, maxWaits, runsHere } = this.#options;
    if (this.#closed) {
      waiter.reject(new SagaWaitEndedError(id));
      return () => undefined;
    }
    if (this.#waits >= maxWaits) {
      waiter.reject(new TooManySagaWaitsError(id, maxWaits));
      return () => undefined;
    }
    let awaited = this.#awaited.get(id);
    if (awaited === undefined) {
      awaited = { waiters: new Set(), lookAt: 0, pauseMs: FIRST_PAUSE_MS };
      this.#awaited.set(id, awaited);
    }
    awaited.waiters.add(waiter);
    this.#waits += 1;
    // It may have ended before the first caller waited. Sagas that run in this process report their end.
    awaited.lookAt = clock.now() + (runsHere(id) ? FIRST_PAUSE_HERE_MS : 0);
    this.#arm(awaited.lookAt);
    return () => {
      if (awaited.waiters.delete(waiter)) this.#waits -= 1;
      if (awaited.waiters.size === 0 && this.#awaited.get(id) === awaited) this.#awaited.delete(id);
    };
  }

  /** A saga ended in this process. */
  ended(id: string, outcome: SagaOutcome<unknown>): void {
    const awaited = this.#awaited.get(id);
    if (awaited !== undefined && isApart(outcome)) {
      // Its output is in the store, and is read as soon as the saga does not run here any more.
      awaited.lookAt = this.#options.clock.now();
      this.#arm(awaited.lookAt);
      return;
    }
    for (const waiter of this.#take(id)) waiter.resolve(outcome);
  }

  /** Ends every wait at once, and refuses further ones. The sagas go on without this engine. */
  close(): void {
    this.#closed = true;
    this.#stopHints();
    this.#timer?.cancel();
    for (const id of [...this.#awaited.keys()]) {
      for (const waiter of this.#take(id)) waiter.reject(new SagaWaitEndedError(id));
    }
  }

  #take(id: string): Iterable<OutcomeWaiter> {
    const awaited = this.#awaited.get(id);
    if (awaited === undefined) return [];
    this.#awaited.delete(id);
    const waiters = [...awaited.waiters];
    this.#waits -= waiters.length;
    awaited.waiters.clear();
    return waiters;
  }

  /**
   * A saga ended in another process. Hints about sagas that run in this one are ignored: they come a moment before
   * the outcome, which is reported directly.
   */
  #hurry(id: string): void {
    const awaited = this.#awaited.get(id);
    if (awaited === undefined || this.#options.runsHere(id)) return;
    awaited.lookAt = this.#options.clock.now();
    this.#arm(awaited.lookAt);
  }

  /** Looks up all sagas soon, because hints may have been missed. */
  #hurryAll(): void {
    const at = this.#options.clock.now() + FIRST_PAUSE_MS;
    for (const awaited of this.#awaited.values()) awaited.lookAt = Math.min(awaited.lookAt, at);
    this.#arm(at);
  }

  #arm(at: number): void {
    const { clock } = this.#options;
    if (this.#closed || this.#looking || this.#scheduled || at >= this.#timerAt) return;
    this.#timer?.cancel();
    this.#timer = null;
    this.#timerAt = Number.POSITIVE_INFINITY;
    if (at <= clock.now()) {
      // The look happens at the end of the tick, so that waits which begin together lead to one
      // statement.
      this.#scheduled = true;
      queueMicrotask(() => {
        this.#scheduled = false;
        void this.#lookAtDue();
      });
      return;
    }
    this.#timerAt = at;
    this.#timer = clock.after(at - clock.now(), () => {
      this.#timer = null;
      this.#timerAt = Number.POSITIVE_INFINITY;
      void this.#lookAtDue();
    });
  }

  async #lookAtDue(): Promise<void> {
    if (this.#looking || this.#closed) return;
    this.#looking = true;
    const { clock, runsHere } = this.#options;
    const now = clock.now();
    const due: string[] = [];
    for (const [id, awaited] of this.#awaited) {
      if (awaited.lookAt > now) continue;
      awaited.lookAt = now + awaited.pauseMs;
      awaited.pauseMs = Math.min(awaited.pauseMs * 2, LONGEST_PAUSE_MS);
      if (!runsHere(id)) due.push(id);
    }
    for (let at = 0; at < due.length; at += BATCH) {
      // Waits that ended meanwhile, for instance because the engine closes, are not looked up.
      const awaited = due.slice(at, at + BATCH).filter((id) => this.#awaited.has(id));
      if (awaited.length > 0) await this.#lookAt(awaited);
    }
    this.#looking = false;
    let next = Number.POSITIVE_INFINITY;
    for (const { lookAt } of this.#awaited.values()) next = Math.min(next, lookAt);
    if (next < Number.POSITIVE_INFINITY) this.#arm(next);
  }

  async #lookAt(ids: readonly string[]): Promise<void> {
    const { store, failures } = this.#options;
    let statuses: ReadonlyMap<string, SagaStatus>;
    try {
      statuses = await store.statusesOf(ids);
    } catch (error) {
      // The next look tries again. Each waiting caller has a timeout of its own.
      failures.failed(LOOKING, error);
      return;
    }
    if (!failures.empty) failures.worked(LOOKING);
    const ended: string[] = [];
    for (const id of ids) {
      const status = statuses.get(id);
      if (status === undefined) {
        for (const waiter of this.#take(id)) waiter.reject(new SagaNotFoundError(id));
      } else if (isSettled(status)) {
        ended.push(id);
      }
    }
    const read = async (): Promise<void> => {
      for (let id = ended.pop(); id !== undefined; id = ended.pop()) {
        if (!this.#awaited.has(id)) continue;
        const outcome = await this.#read(id);
        if (outcome !== null) this.ended(id, outcome);
      }
    };
    await Promise.all(Array.from({ length: READERS }, read));
  }

  /** Reads the outcome of a saga from its journal; null: it cannot be read now. */
  async #read(id: string): Promise<SagaOutcome<unknown> | null> {
    const { store, failures } = this.#options;
    const state = emptyState();
    try {
      for (const entry of await store.history(id, { onDemand: 'leave' })) {
        try {
          fold(state, decodeEntry(entry), entry.recordedAt.getTime());
        } catch {
          // A saga that is parked because its journal cannot be read says so in a later entry.
        }
      }
      if (state.end?.output instanceof StoredOutput) {
        const [text] = await store.dataOf(id, [state.end.output]);
        if (text == null) throw new UnreadableJournalError('saga_ended', 'Its output is missing.');
        state.end = { ...state.end, output: outputIn(text) };
      }
    } catch (error) {
      // One journal that cannot be read is no trouble of the process.
      if (storeFailureOf(error) !== 'failed') failures.failed(READING, error);
      return null;
    }
    if (!failures.empty) failures.worked(READING);
    return outcomeOf(state);
  }
}

function isApart(outcome: SagaOutcome<unknown>): boolean {
  return outcome.status === 'completed' && outcome.output instanceof StoredOutput;
}
