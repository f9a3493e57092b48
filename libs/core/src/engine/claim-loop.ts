import type {
  Clock,
  LoadedSaga,
  Mail,
  RunnableSaga,
  SagaStore,
  Timer,
  WakeUps,
} from '../ports/index.js';
import type { RepeatedFailure } from '../retry/index.js';
import type { SagaDefinition } from '../saga/index.js';
import { MAIL_KINDS } from './decide/index.js';

export interface ClaimLoopOptions {
  readonly store: Pick<SagaStore, 'claim' | 'mailOfOwned' | 'nextDueInMs' | 'owned' | 'load'>;
  readonly clock: Clock;
  readonly failure: RepeatedFailure;
  readonly wakeUps: WakeUps;
  readonly pollMs: number;
  readonly ownedCheckMs: number;
  readonly definitions: () => readonly RunnableSaga[];
  readonly incarnation: () => string;
  /** How many sagas may be taken now. */
  readonly room: () => number;
  readonly knows: (id: string) => boolean;
  readonly onClaimed: (sagas: readonly LoadedSaga[], found: 'claimed' | 'owned') => void;
  readonly onMail: (mail: readonly Mail[]) => void;
  /** Reached after each claim: a fault point of tests. */
  readonly claimed: () => void | Promise<void>;
}

/** Between two rounds that hints ask for. */
const LEAST_PAUSE_MS = 5;

/**
 * Asks the store for sagas that are due, for mail of those that run here, and now and then for sagas
 * that are this engine's without its knowing. Hints make it quick; the polling is what guarantees.
 */
export class ClaimLoop {
  readonly #options: ClaimLoopOptions;
  #timer: Timer | null = null;
  #at = Number.POSITIVE_INFINITY;
  #round: Promise<void> | null = null;
  #again = false;
  #lastRound = Number.NEGATIVE_INFINITY;
  #lastOwnedCheck = Number.NEGATIVE_INFINITY;
  /** From start to close. An engine that only starts sagas for others has nothing to ask for. */
  #open = false;
  #stopHints: () => void = () => undefined;

  constructor(options: ClaimLoopOptions) {
    this.#options = options;
  }

  start(): void {
    this.#open = true;
    this.#stopHints = this.#options.wakeUps.on('saga', () => this.wake());
    this.wake();
  }

  /** Looks soon; while a round is under way: once more after it, since that may have looked before. */
  wake(): void {
    if (!this.#open) return;
    if (this.#round !== null) {
      this.#again = true;
      return;
    }
    const { clock } = this.#options;
    // Nor does a hint shorten the pause of a store that has just failed.
    const pauseMs = this.#options.failure.pauseLeftMs;
    this.#armIn(Math.max(pauseMs, this.#lastRound + LEAST_PAUSE_MS - clock.now()));
  }

  async close(): Promise<void> {
    this.#open = false;
    this.#stopHints();
    this.#timer?.cancel();
    await this.#round;
  }

  #armIn(ms: number): void {
    const { clock } = this.#options;
    const at = clock.now() + ms;
    if (!this.#open || at >= this.#at) return;
    this.#timer?.cancel();
    this.#at = at;
    this.#timer = clock.after(ms, () => {
      this.#at = Number.POSITIVE_INFINITY;
      this.#run();
    });
  }

  #run(): void {
    if (!this.#open || this.#round !== null) return;
    const { clock } = this.#options;
    this.#again = false;
    this.#lastRound = clock.now();
    this.#round = this.#look().then(
      (pauseMs) => {
        this.#options.failure.worked();
        this.#round = null;
        if (this.#again) this.wake();
        else this.#armIn(pauseMs);
      },
      (error: unknown) => {
        this.#round = null;
        this.#armIn(this.#options.failure.failed(error));
      },
    );
  }

  /** One round; milliseconds until the next. */
  async #look(): Promise<number> {
    const { store, clock, pollMs, ownedCheckMs, incarnation, room } = this.#options;
    const me = incarnation();
    const limit = room();
    let full = false;
    if (limit > 0) {
      const definitions = this.#options.definitions();
      const claimed = await store.claim({
        incarnation: me,
        definitions,
        limit,
        mailKinds: MAIL_KINDS,
      });
      await this.#options.claimed();
      // A new incarnation has begun meanwhile: what the old one took is adopted like all it had.
      if (me !== incarnation()) return 0;
      this.#options.onClaimed(claimed, 'claimed');
      // Sagas that came meanwhile are given back; the store is asked for no more.
      if (!this.#open) return pollMs;
      full = claimed.length >= limit;
    }
    const mail = await store.mailOfOwned(me);
    if (me === incarnation()) this.#options.onMail(mail);
    if (clock.now() - this.#lastOwnedCheck >= ownedCheckMs) {
      await this.#checkOwned(me);
      this.#lastOwnedCheck = clock.now();
    }
    if (full && room() > 0) return LEAST_PAUSE_MS;
    const dueInMs = await store.nextDueInMs();
    // Due, and yet not claimed: another engine's, or none can run it. Not asked for at once again.
    return dueInMs === null || dueInMs <= 0 ? pollMs : Math.min(pollMs, dueInMs + 1);
  }

  /**
   * Sagas that are this engine's without its knowing: the answer to a claim was lost, or the
   * transaction that started one was committed and nobody said so.
   */
  async #checkOwned(me: string): Promise<void> {
    const { store, knows, incarnation } = this.#options;
    const before = await store.owned(me);
    const unknown = before.filter((id) => !knows(id));
    if (unknown.length === 0) return;
    const loaded = await store.load(unknown, me);
    if (me !== incarnation()) return;
    this.#options.onClaimed(
      loaded.filter((saga) => !knows(saga.id)),
      'owned',
    );
  }

  /** The next round looks for sagas that are owned and not known. */
  checkOwnedSoon(): void {
    this.#lastOwnedCheck = Number.NEGATIVE_INFINITY;
    this.wake();
  }
}

/** Which versions of which names an engine with these definitions may claim. */
export function runnable(definitions: readonly SagaDefinition[]): readonly RunnableSaga[] {
  const versions = new Map<string, number[]>();
  for (const { name, version } of definitions) {
    versions.set(name, [...(versions.get(name) ?? []), version]);
  }
  return [...versions].map(([name, numbers]) => ({ name, versions: numbers }));
}
