import {
  FORMAT,
  loadedBytes,
  type Clock,
  type LoadedSaga,
  type Mail,
  type MailMark,
  type RunnableSaga,
  type SagaStore,
  type Timer,
  type WakeUps,
} from '../ports/index.js';
import type { RepeatedFailure } from '../retry/index.js';
import type { SagaDefinition } from '../saga/index.js';

export interface ClaimLoopOptions {
  readonly store: Pick<SagaStore, 'claim' | 'lookForMail' | 'nextDueInMs' | 'owned' | 'load'>;
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

/**
 * The sagas that an engine is missing: sagas to run, sagas that it owns without knowing it, or a saga that has mail and
 * does not run here.
 */
export type Gap = 'claim' | 'owned' | { readonly mailOf: string };

/** The most sagas of one claim, which locks and measures all that it could take. */
const MOST_AT_ONCE = 200;
/** The most mail that one look brings, in bytes. */
const MAIL_BYTES = 8 * 1_024 * 1_024;
/**
 * The most sagas that are kept because of their mail until there is room for them. What goes beyond it is
 * found again by a pass over all mail.
 */
const MOST_WAKES = 10_000;
/** The most of these that one claim asks for. */
const WAKES_AT_ONCE = 1_000;
/** The shortest pause between two rounds, in milliseconds. */
const LEAST_PAUSE_MS = 5;

/**
 * Asks the store for new mail, for sagas that are due or have mail, and now and then for sagas that this
 * engine owns without knowing it. Hints start a round at once; polling finds the work whose
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
  /** The incarnation that the marks and wakes below belong to. */
  #looksAs = '';
  /** Where the look for new mail goes on. */
  #newMail: MailMark | null = null;
  #lastAllMail = Number.NEGATIVE_INFINITY;
  /** Where the pass over all mail goes on; undefined: none is under way. */
  #allMail: MailMark | null | undefined;
  /** Sagas without an owner that have mail, and are not claimed yet. */
  readonly #wakes = new Set<string>();
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

  /** Starts a round soon that also looks for what is missing here. */
  fill(gap: Gap): void {
    if (gap === 'owned') this.#lastOwnedCheck = Number.NEGATIVE_INFINITY;
    // It may have been given back since its mail was read.
    if (typeof gap !== 'string') this.#keepWakes([gap.mailOf]);
    this.wake();
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
    if (clock.now() - this.#lastAllMail >= ownedCheckMs) {
      // An engine that died or gave a saga back may have passed mail over that nobody reads again.
      this.#allMail ??= null;
      this.#lastAllMail = clock.now();
    }
    if (me !== incarnation()) return 0;
    const moreMail = await this.#lookForMail(me);
    if (me !== incarnation()) return 0;
    const limit = Math.min(MOST_AT_ONCE, room());
    let full = false;
    if (limit > 0) {
      const definitions = this.#options.definitions();
      const bytes = this.#options.roomBytes();
      const mailed = [...this.#wakes].slice(0, WAKES_AT_ONCE);
      for (const id of mailed) this.#wakes.delete(id);
      const request = { incarnation: me, definitions, format: FORMAT, limit, bytes, mailed };
      const claimed = await store.claim(request).catch((error: unknown) => {
        // The mark is behind their mail already, so that no look would find them again.
        this.#keepWakes(mailed);
        throw error;
      });
      await this.#options.claimed();
      // A new incarnation has begun meanwhile. The sagas that the old one claimed are adopted like all
      // of its sagas.
      if (me !== incarnation()) return 0;
      this.#options.onClaimed(claimed, 'claimed');
      // The loop was closed meanwhile: the claimed sagas are given back, and the store is asked for no
      // more.
      if (!this.#open) return pollMs;
      const ended = claimed.length >= limit || endedByBytes(claimed, bytes);
      // Of those that a claim with room did not take, each has an owner or no mail any more, or was locked. A
      // pass over all mail finds the last kind.
      const taken = new Set(claimed.map(({ id }) => id));
      if (ended) this.#keepWakes(mailed.filter((id) => !taken.has(id)));
      full = ended || this.#wakes.size > 0;
    }
    if (moreMail || (full && room() > 0)) return LEAST_PAUSE_MS;
    const dueInMs = await store.nextDueInMs(this.#options.definitions(), FORMAT);
    // A saga that is due and was not claimed belongs to another engine, or none can run it, so the next
    // round waits.
    return dueInMs === null || dueInMs <= 0 ? pollMs : Math.min(pollMs, dueInMs + 1);
  }

  /** Delivers new mail, and a page of all mail if a pass over it is due. Returns whether there is more. */
  async #lookForMail(me: string): Promise<boolean> {
    if (this.#looksAs !== me) {
      this.#looksAs = me;
      this.#newMail = null;
      this.#allMail = undefined;
      this.#wakes.clear();
    }
    const found = await this.#lookFrom(me, this.#newMail);
    // The first pass over all mail is the first look.
    if (this.#newMail === null) this.#allMail = undefined;
    this.#newMail = found.mark;
    if (this.#allMail === undefined) return found.more;
    const { mark, more } = await this.#lookFrom(me, this.#allMail);
    this.#allMail = more ? mark : undefined;
    return found.more;
  }

  async #lookFrom(
    me: string,
    from: MailMark | null,
  ): Promise<{ readonly mark: MailMark; readonly more: boolean }> {
    const { store, definitions, incarnation, onMail } = this.#options;
    const found = await store.lookForMail({
      incarnation: me,
      definitions: definitions(),
      from,
      bytes: MAIL_BYTES,
      format: FORMAT,
    });
    if (me !== incarnation()) return found;
    this.#keepWakes(found.wakes);
    onMail(found.mail);
    return found;
  }

  #keepWakes(ids: readonly string[]): void {
    for (const id of ids) if (this.#wakes.size < MOST_WAKES) this.#wakes.add(id);
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
}

/**
 * Whether the bound of bytes ended a claim, or nearly: there may be more sagas to take. The store has measured
 * how it keeps them, which is about as much.
 */
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
