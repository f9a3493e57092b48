import type { RepeatedFailure } from '../../retry/index.js';
import {
  FORMAT,
  type Clock,
  type EngineRegistry,
  type Logger,
  type NewEngine,
  type Timer,
} from '../../ports/index.js';

export interface MembershipOptions {
  readonly engines: EngineRegistry;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly failure: RepeatedFailure;
  readonly ttlMs: number;
  readonly identity: Omit<NewEngine, 'incarnation' | 'ttlMs' | 'format'>;
  /** Whether this engine's loops make progress: an engine that is stuck must not look alive. */
  readonly moves: () => boolean;
  /** This incarnation was declared dead. All its work must stop before a new one is registered. */
  readonly onDeath: () => Promise<void>;
  /** The engine may not start steps because its heartbeat failed (`true`), or may again (`false`). */
  readonly onFence: (fenced: boolean) => void;
  /** Another engine was declared dead. */
  readonly onBurial: (incarnation: string) => void;
  readonly newIncarnation: () => string;
}

interface Seen {
  readonly beat: string;
  /** When this heartbeat of the other engine was first seen, by this process's monotonic clock. */
  readonly since: number;
  /** How many own heartbeats have succeeded at that moment. */
  readonly ownBeats: number;
}

const BEATS_PER_TTL = 4;
/**
 * How many times per time to live a failed heartbeat is tried again. The tries are frequent, so that
 * the first engine that is back does not declare others dead that have not tried yet.
 */
const TRIES_PER_TTL = 16;
/**
 * After a pause in the watch longer than this part of the time to live, the watch begins anew, since
 * all engines may have stood still.
 */
const LONGEST_GAP = 0.5;

/**
 * Keeps the heartbeat of this engine and watches those of the others. An engine is declared dead only
 * by an engine that saw it stand still for a whole time to live while its own heartbeats succeeded, so
 * an outage of the database leads to no such declaration. Every heartbeat is noted when it is first
 * seen, and not only when it is overdue, so that an overdue one has been watched for nearly long enough
 * already.
 */
export class Membership {
  readonly #options: MembershipOptions;
  readonly #seen = new Map<string, Seen>();
  #incarnation = '';
  #backAt = 0;
  /** When the last successful heartbeat was sent; durations are counted from before the request. */
  #lastBeat = Number.NEGATIVE_INFINITY;
  #ownBeats = 0;
  /** When the heartbeats of the others were last read. */
  #lastWatch = Number.NEGATIVE_INFINITY;
  #fenced = false;
  #timer: Timer | null = null;
  #working: Promise<void> = Promise.resolve();
  #closed = false;

  constructor(options: MembershipOptions) {
    this.#options = options;
  }

  get incarnation(): string {
    return this.#incarnation;
  }

  /**
   * Since when the heartbeats of this engine have had no gap of a lease, by the monotonic clock. Before
   * that, this process did not run, was frozen, or could not reach its store.
   */
  get backAt(): number {
    return this.#backAt;
  }

  /** Whether this engine knows that no other may have declared it dead. */
  get lives(): boolean {
    return !this.#closed && this.#options.clock.now() - this.#lastBeat < this.#options.ttlMs;
  }

  async join(): Promise<void> {
    await this.#register();
    // If all engines died together, the first one that returns watches the others from its first
    // moment.
    await this.#watch().catch(() => undefined);
    this.#arm();
  }

  /** Stops the heartbeat. With `retire`, the others may adopt the remaining sagas at once. */
  async leave(retire: boolean): Promise<void> {
    this.#closed = true;
    this.#timer?.cancel();
    await this.#working;
    if (retire) await this.#options.engines.retire(this.#incarnation);
  }

  async #register(): Promise<void> {
    const { engines, clock, identity, ttlMs, newIncarnation } = this.#options;
    const incarnation = newIncarnation();
    const sent = clock.now();
    await engines.register({ incarnation, ...identity, ttlMs, format: FORMAT });
    this.#incarnation = incarnation;
    this.#backAt = sent;
    this.#lastBeat = sent;
    this.#ownBeats = 0;
    this.#seen.clear();
  }

  #arm(rounds = BEATS_PER_TTL): void {
    if (this.#closed) return;
    this.#timer = this.#options.clock.after(this.#options.ttlMs / rounds, () => {
      this.#working = this.#round().then((beaten) =>
        this.#arm(beaten ? BEATS_PER_TTL : TRIES_PER_TTL),
      );
    });
  }

  /** Does one round of heartbeat and watch. False: the store did not answer. */
  async #round(): Promise<boolean> {
    const { engines, clock, logger, moves } = this.#options;
    let answered = true;
    try {
      if (moves()) {
        const sent = clock.now();
        if (!(await engines.beat(this.#incarnation))) {
          await this.#die();
          return true;
        }
        // The lease may have been too old for a moment, between two rounds. Steps that had to wait then
        // are started below.
        if (!this.lives) {
          this.#fence(true);
          this.#backAt = clock.now();
        }
        this.#lastBeat = sent;
        this.#ownBeats += 1;
        if (!this.#closed) await this.#watch();
        this.#options.failure.worked();
      } else {
        logger.error(
          'The engine gets no answer from its store, so it stops its heartbeat until it gets one.',
        );
      }
    } catch (error) {
      answered = false;
      this.#options.failure.failed(error);
    }
    this.#fence(!this.lives);
    return answered;
  }

  #fence(fenced: boolean): void {
    if (fenced === this.#fenced) return;
    this.#fenced = fenced;
    this.#options.onFence(fenced);
  }

  async #die(): Promise<void> {
    this.#lastBeat = Number.NEGATIVE_INFINITY;
    await this.#options.onDeath();
    if (this.#closed) return;
    await this.#register();
    this.#fenced = false;
    this.#options.onFence(false);
  }

  async #watch(): Promise<void> {
    const { engines, clock, ttlMs, onBurial } = this.#options;
    const beats = await engines.observe();
    const now = clock.now();
    // It is unknown which engines sent heartbeats meanwhile. After an outage all are overdue by the
    // database's clock, so that says nothing, and the watch begins anew.
    if (now - this.#lastWatch > ttlMs * LONGEST_GAP) this.#seen.clear();
    this.#lastWatch = now;
    const there = new Set<string>();
    for (const { incarnation, beat, overdue, ttlMs: theirs } of beats) {
      if (incarnation === this.#incarnation) continue;
      there.add(incarnation);
      const seen = this.#seen.get(incarnation);
      if (seen?.beat !== beat) {
        this.#seen.set(incarnation, { beat, since: now, ownBeats: this.#ownBeats });
        continue;
      }
      // The longer time to live of the two counts, because the other engine may send heartbeats more
      // seldom than this one.
      const still = now - seen.since >= Math.max(ttlMs, theirs);
      if (!overdue || !still || this.#ownBeats - seen.ownBeats < 2) continue;
      this.#seen.delete(incarnation);
      if (await engines.declareDead(incarnation, beat)) onBurial(incarnation);
    }
    for (const incarnation of this.#seen.keys()) {
      if (!there.has(incarnation)) this.#seen.delete(incarnation);
    }
  }
}
