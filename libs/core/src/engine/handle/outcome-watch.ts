import type { Clock, SagaStore, Timer, WakeUps } from '../../ports/index.js';
import { decodeEntry } from '../journal/index.js';
import { emptyState, fold } from '../state/index.js';
import { isSettled, outcomeOf, type SagaOutcome } from './saga-outcome.js';

type Resolve = (outcome: SagaOutcome<unknown>) => void;

const FIRST_LOOK_MS = 25;
const LONGEST_LOOK_MS = 1_000;

/**
 * Waits for the ends of sagas, wherever they run: what ends in this process tells at once, what ends
 * elsewhere is hinted, and a look at the store now and then is what guarantees.
 */
export class OutcomeWatch {
  readonly #store: Pick<SagaStore, 'get' | 'history'>;
  readonly #clock: Clock;
  readonly #waiting = new Map<string, Set<Resolve>>();
  readonly #stopHints: () => void;
  #timer: Timer | null = null;
  #pauseMs = FIRST_LOOK_MS;

  constructor(
    store: Pick<SagaStore, 'get' | 'history'>,
    clock: Clock,
    wakeUps: WakeUps,
    /** Whether this process runs the saga, and so will say when it ends. */
    readonly runsHere: (id: string) => boolean,
  ) {
    this.#store = store;
    this.#clock = clock;
    this.#stopHints = wakeUps.on('ended', (id) => {
      if (id === undefined) this.#lookSoon();
      // What ends here is told with its outcome; the store hints at it a moment earlier.
      else if (this.#waiting.has(id) && !this.runsHere(id)) void this.#look(id);
    });
  }

  /** Calls `resolve` once the saga has ended; the answer stops waiting. */
  wait(id: string, resolve: Resolve): () => void {
    const waiting = this.#waiting.get(id);
    if (waiting === undefined) this.#waiting.set(id, new Set([resolve]));
    else waiting.add(resolve);
    if (!this.runsHere(id)) this.#lookSoon();
    else this.#arm();
    return () => {
      const left = this.#waiting.get(id);
      left?.delete(resolve);
      if (left?.size === 0) this.#waiting.delete(id);
    };
  }

  /** A saga ended in this process. */
  ended(id: string, outcome: SagaOutcome<unknown>): void {
    const waiting = this.#waiting.get(id);
    if (waiting === undefined) return;
    this.#waiting.delete(id);
    for (const resolve of waiting) resolve(outcome);
  }

  /** The end of a saga as its journal tells it; null: it has not ended, undefined: there is none. */
  async look(id: string): Promise<SagaOutcome<unknown> | null | undefined> {
    const saga = await this.#store.get(id);
    if (saga === null) return undefined;
    if (!isSettled(saga.status)) return null;
    const state = emptyState();
    let unreadable: Error | null = null;
    for (const entry of await this.#store.history(id)) {
      try {
        fold(state, decodeEntry(entry), entry.recordedAt.getTime());
      } catch (error) {
        // One that is parked for just that reason says so in a later entry.
        unreadable = error instanceof Error ? error : new Error(String(error));
      }
    }
    const outcome = outcomeOf(state);
    if (outcome === null && unreadable !== null) throw unreadable;
    return outcome;
  }

  close(): void {
    this.#stopHints();
    this.#timer?.cancel();
    this.#waiting.clear();
  }

  #lookSoon(): void {
    this.#pauseMs = FIRST_LOOK_MS;
    this.#timer?.cancel();
    this.#timer = null;
    this.#arm();
  }

  #arm(): void {
    if (this.#timer !== null || this.#waiting.size === 0) return;
    this.#timer = this.#clock.after(this.#pauseMs, () => {
      this.#timer = null;
      this.#pauseMs = Math.min(this.#pauseMs * 2, LONGEST_LOOK_MS);
      void this.#lookAtAll();
    });
  }

  async #lookAtAll(): Promise<void> {
    for (const id of [...this.#waiting.keys()]) {
      if (!this.runsHere(id)) await this.#look(id);
    }
    this.#arm();
  }

  async #look(id: string): Promise<void> {
    try {
      const outcome = await this.look(id);
      if (outcome !== null && outcome !== undefined) this.ended(id, outcome);
    } catch {
      // The store is away; the next look finds out. Whoever waits has a timeout of their own.
    }
  }
}
