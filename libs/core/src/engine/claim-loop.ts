import {
  loadedBytes,
  type Clock,
  type LoadedSaga,
  type Mail,
  type RunnableSaga,
  type SagaStore,
  type Timer,
  type WakeUps,
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
  /** How many more sagas this process can take now. */
  readonly room: () => number;
  /** How many more bytes of journals this process can take now. */
  readonly roomBytes: () => number;
  readonly knows: (id: string) => boolean;
  readonly onClaimed: (sagas: readonly LoadedSaga[], found: 'claimed' | 'owned') => void;
  readonly onMail: (mail: readonly Mail[]) => void;
  /** Reached after each claim: a fault point of tests. */
  readonly claimed: () => void | Promise<void>;
}

/** The most sagas of one claim, which locks and measures all that it could take. */
const MOST_AT_ONCE = 200;
/** The shortest pause between two rounds, in milliseconds. */
const LEAST_PAUSE_MS = 5;

/**
 * Asks the store for sagas that are due, for mail of those that run here, and now and then for sagas
 * that this engine owns without knowing it. Hints start a round at once; polling finds the work whose
 * hint was lost.
 */
export class ClaimLoop {
  readonly #options: ClaimLoopOptions;
  #timer: Timer | null = null;
  #at = Number.POSITIVE_INFINITY;
  #round: Promise<void> | null = null;
  #again = false;
  #lastRound = Number.NEGATIVE_INFINITY;
  #lastOwnedCheck = Number.NEGATIVE_INFINITY;
  /** Whether the last check left sagas where they were, because their journals did not fit into memory. */
  #ownedLeft = false;
  /**
   * True from start to close. An engine that only starts sagas for others never asks the store for
   * work.
   */
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

  /**
   * Starts a round soon. If one is under way, another follows it, since that one may have read the
   * store too early.
   */
  wake(): void {
    if (!this.#open) return;
    if (this.#round !== null) {
      this.#again = true;
      return;
    }
    const { clock } = this.#options;
    // A hint does not shorten the pause that follows a failure of the store.
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
        // The claim may have been carried out without an answer.
        this.#lastOwnedCheck = Number.NEGATIVE_INFINITY;
        this.#armIn(this.#options.failure.failed(error));
      },
    );
  }

  /** Does one round. Resolves with the milliseconds until the next one. */
  async #look(): Promise<number> {
    const { store, clock, pollMs, ownedCheckMs, incarnation, room } = this.#options;
    const me = incarnation();
    // First, since nobody else may take the sagas that it finds.
    if (this.#ownedLeft || clock.now() - this.#lastOwnedCheck >= ownedCheckMs) {
      await this.#checkOwned(me);
      this.#lastOwnedCheck = clock.now();
    }
    if (me !== incarnation()) return 0;
    const limit = Math.min(MOST_AT_ONCE, room());
    let full = false;
    if (limit > 0) {
      const definitions = this.#options.definitions();
      const bytes = this.#options.roomBytes();
      const claimed = await store.claim({
        incarnation: me,
        definitions,
        limit,
        bytes,
        mailKinds: MAIL_KINDS,
      });
      await this.#options.claimed();
      // A new incarnation has begun meanwhile. The sagas that the old one claimed are adopted like all
      // of its sagas.
      if (me !== incarnation()) return 0;
      this.#options.onClaimed(claimed, 'claimed');
      // The loop was closed meanwhile: the claimed sagas are given back, and the store is asked for no
      // more.
      if (!this.#open) return pollMs;
      full = claimed.length >= limit || endedByBytes(claimed, bytes);
    }
    const mail = await store.mailOfOwned(me);
    if (me === incarnation()) this.#options.onMail(mail);
    if (full && room() > 0) return LEAST_PAUSE_MS;
    const dueInMs = await store.nextDueInMs(this.#options.definitions());
    // A saga that is due and was not claimed belongs to another engine, or none can run it, so the next
    // round waits.
    return dueInMs === null || dueInMs <= 0 ? pollMs : Math.min(pollMs, dueInMs + 1);
  }

  /**
   * Finds sagas that this engine owns without knowing it: the answer to a claim was lost, or this
   * engine was not told that the transaction which started a saga has committed.
   */
  async #checkOwned(me: string): Promise<void> {
    const { store, knows, incarnation, roomBytes } = this.#options;
    const before = await store.owned(me);
    const unknown = before.filter((id) => !knows(id));
    const bytes = roomBytes();
    this.#ownedLeft = unknown.length > 0;
    if (!this.#ownedLeft || bytes <= 0) return;
    const loaded = await store.load(unknown, me, bytes);
    if (me !== incarnation()) return;
    this.#ownedLeft = loaded.length < unknown.length;
    this.#options.onClaimed(
      loaded.filter((saga) => !knows(saga.id)),
      'owned',
    );
  }

  /** Starts a round soon that also looks for sagas which this engine owns without knowing it. */
  checkOwnedSoon(): void {
    this.#lastOwnedCheck = Number.NEGATIVE_INFINITY;
    this.wake();
  }
}

/** Whether the bound of bytes ended a claim, or nearly: there may be more sagas to take. */
function endedByBytes(claimed: readonly LoadedSaga[], bytes: number): boolean {
  return claimed.reduce((sum, saga) => sum + loadedBytes(saga), 0) >= bytes / 2;
}

/** The names and versions of the sagas that an engine with these definitions may claim. */
export function runnable(definitions: readonly SagaDefinition[]): readonly RunnableSaga[] {
  const versions = new Map<string, number[]>();
  for (const { name, version } of definitions) {
    versions.set(name, [...(versions.get(name) ?? []), version]);
  }
  return [...versions].map(([name, numbers]) => ({ name, versions: numbers }));
}
