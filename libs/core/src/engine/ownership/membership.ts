import type { RepeatedFailure } from '../../retry/index.js';
import type { Clock, EngineRegistry, Logger, NewEngine, Timer } from '../../ports/index.js';

export interface MembershipOptions {
  readonly engines: EngineRegistry;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly failure: RepeatedFailure;
  readonly ttlMs: number;
  readonly identity: Omit<NewEngine, 'incarnation' | 'ttlMs'>;
  /** Whether this engine's loops move: a stuck one must not look alive. */
  readonly moves: () => boolean;
  /** This incarnation was declared dead. All its work must stop before a new one is registered. */
  readonly onDeath: () => Promise<void>;
  /** The right to start steps was lost for want of a heartbeat, or is back. */
  readonly onFence: (fenced: boolean) => void;
  /** Another engine was declared dead. */
  readonly onBurial: (incarnation: string) => void;
  readonly newIncarnation: () => string;
}

interface Seen {
  readonly beat: string;
  /** When this heartbeat was first seen, by this process's monotonic clock. */
  readonly since: number;
  /** Own heartbeats that went through since then. */
  readonly ownBeats: number;
}

const BEATS_PER_TTL = 4;
/** After a heartbeat that failed: whoever is back first must not bury those who are still asleep. */
const TRIES_PER_TTL = 16;
/** A pause in the watch longer than this part of a time to live may have been one of all engines. */
const LONGEST_GAP = 0.5;

/**
 * This engine among the others: its heartbeat, and the watch on theirs. An engine is declared dead
 * only by one that saw it stand still for a whole time to live while its own heartbeats went
 * through, so an outage of the database kills nobody. Every heartbeat is noted when it is first seen,
 * and not only one that is overdue: by the time it is, it has been watched for nearly long enough.
 */
export class Membership {
  readonly #options: MembershipOptions;
  readonly #seen = new Map<string, Seen>();
  #incarnation = '';
  #backAt = 0;
  /** When the last heartbeat that went through was sent; durations start before the request. */
  #lastBeat = Number.NEGATIVE_INFINITY;
  #ownBeats = 0;
  /** When the others were last seen. */
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
   * Since when its heartbeats have had no gap of a lease, by the monotonic clock: before that this
   * process was not there, was frozen, or had no store to read anything from.
   */
  get backAt(): number {
    return this.#backAt;
  }

  /** Whether this engine can prove, to itself, that nobody may have declared it dead. */
  get lives(): boolean {
    return !this.#closed && this.#options.clock.now() - this.#lastBeat < this.#options.ttlMs;
  }

  async join(): Promise<void> {
    await this.#register();
    // Where all died together, whoever returns first has watched from its first moment.
    await this.#watch().catch(() => undefined);
    this.#arm();
  }

  /** Stops the heartbeat; with `retire` the others may take what is left at once. */
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
    await engines.register({ incarnation, ...identity, ttlMs });
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

  /** Whether it had its answers. */
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
        // It may have been too old for a moment, between two looks: who had to wait then is told below.
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
          'The engine has no answer from its store; it stops its heartbeat until it has.',
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
    const { logger, onDeath } = this.#options;
    logger.error('This engine was declared dead: it stops all work and returns as a new one.', {
      incarnation: this.#incarnation,
    });
    this.#lastBeat = Number.NEGATIVE_INFINITY;
    await onDeath();
    if (this.#closed) return;
    await this.#register();
    this.#fenced = false;
    this.#options.onFence(false);
  }

  async #watch(): Promise<void> {
    const { engines, clock, ttlMs, onBurial, logger } = this.#options;
    const beats = await engines.observe();
    const now = clock.now();
    // Nobody can say who beat meanwhile. Overdue by the database's clock says nothing after an outage:
    // everybody is. So the watch begins anew.
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
      // The longer of the two: one that beats more seldom than this engine looks is not dead for that.
      const still = now - seen.since >= Math.max(ttlMs, theirs);
      if (!overdue || !still || this.#ownBeats - seen.ownBeats < 2) continue;
      this.#seen.delete(incarnation);
      if (await engines.declareDead(incarnation, beat)) {
        logger.warn('An engine was declared dead; its sagas are taken over.', { incarnation });
        onBurial(incarnation);
      }
    }
    for (const incarnation of this.#seen.keys()) {
      if (!there.has(incarnation)) this.#seen.delete(incarnation);
    }
  }
}
