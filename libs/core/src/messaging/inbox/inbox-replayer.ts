import { errorText } from '../../errors/index.js';
import { RepeatedFailure } from '../../retry/index.js';
import type {
  Clock,
  DeadLetterOutcome,
  Delivery,
  DeliveryOutcome,
  InboxDeadLetter,
  InboxKey,
  InboxStore,
  Logger,
  Timer,
} from '../../ports/index.js';
import { withoutMark } from '../signing/index.js';
import { inboxKeyOf } from './message-role.js';

const POLL_MS = 5_000;
const LONGEST_PAUSE_MS = 30_000;
const LEASE_MS = 60_000;
const CLOSE_MS = 10_000;
/** Letters that are handled at once. */
const BATCH = 5;

export interface InboxReplayerOptions {
  readonly inbox: InboxStore;
  readonly clock: Clock;
  readonly logger: Logger;
  /** The groups whose handlers this process has. */
  readonly groups: readonly string[];
  /** What a subscription does with a delivery; the same function. Never rejects. */
  readonly redeliver: (delivery: Delivery) => Promise<DeliveryOutcome>;
  /** How often other processes' requests are looked for, in ms. Default 5,000. */
  readonly pollMs?: number;
  /** How long a letter is this process's own, in ms. Default 60,000. */
  readonly leaseMs?: number;
}

/**
 * Handles dead letters again that were marked for replay, here or by anybody who can write to the
 * database. The message does not go through the broker: other groups have handled it, and must not
 * see it again. It keeps its letter until its inbox row says that it is done, so a crash on the way
 * loses nothing; a failure makes it a dead letter again. Its place in its key is lost: later messages
 * of the key were handled while it lay there.
 */
export class InboxReplayer {
  readonly #options: InboxReplayerOptions;
  readonly #failure: RepeatedFailure;
  readonly #stop = new AbortController();
  #timer: Timer | null = null;
  #round: Promise<number> | null = null;
  #again = false;
  #pauseMs = 0;

  constructor(options: InboxReplayerOptions) {
    this.#options = options;
    const { clock, logger } = options;
    this.#failure = new RepeatedFailure({
      clock,
      logger,
      what: 'Looking for dead letters to replay',
      firstMs: options.pollMs ?? POLL_MS,
      maxMs: LONGEST_PAUSE_MS,
    });
  }

  /** Looks now, and from then on regularly. */
  start(): void {
    this.nudge();
  }

  /** Marks dead letters for replay and begins at once. Returns what became of each. */
  async replay(keys: readonly InboxKey[]): Promise<readonly DeadLetterOutcome[]> {
    const outcomes = await this.#options.inbox.requestReplay(keys);
    if (outcomes.includes('done')) this.nudge();
    return outcomes;
  }

  /** Null while it works; otherwise what is wrong. */
  get problem(): string | null {
    return this.#failure.problem;
  }

  /** Looks for letters to replay without waiting for the next poll. */
  nudge(): void {
    if (this.#stop.signal.aborted) return;
    if (this.#round !== null) {
      // What was marked after the round's read would wait for the next poll.
      this.#again = true;
      return;
    }
    void this.runOnce();
  }

  /** One look: handles what is due. Returns how many letters were tried. Never rejects. */
  runOnce(): Promise<number> {
    this.#timer?.cancel();
    this.#timer = null;
    this.#round ??= this.#look().finally(() => {
      this.#round = null;
      if (this.#stop.signal.aborted) return;
      if (this.#again) {
        this.#again = false;
        void this.runOnce();
        return;
      }
      this.#timer = this.#options.clock.after(
        Math.max(this.#pauseMs, this.#options.pollMs ?? POLL_MS),
        () => {
          void this.runOnce();
        },
      );
    });
    return this.#round;
  }

  /**
   * Takes no more letters and waits for the one under way, at most `withinMs`: should its handler
   * not end, its letter is due again later, here or in another process.
   */
  async close(withinMs = CLOSE_MS): Promise<void> {
    this.#stop.abort();
    this.#timer?.cancel();
    const round = this.#round;
    if (round === null) return;
    await new Promise<void>((resolve) => {
      const timer = this.#options.clock.after(withinMs, resolve);
      void round.then(() => {
        timer.cancel();
        resolve();
      });
    });
  }

  async #look(): Promise<number> {
    const { inbox, groups, leaseMs = LEASE_MS } = this.#options;
    let tried = 0;
    try {
      for (;;) {
        const letters = await inbox.takeReplays(groups, BATCH, leaseMs);
        if (this.#stop.signal.aborted) return tried;
        tried += letters.length;
        // Together: one handler that hangs must not keep those of other letters waiting.
        await Promise.all(letters.map((letter) => this.#guarded(letter)));
        if (letters.length < BATCH) {
          this.#failure.worked();
          this.#pauseMs = 0;
          return tried;
        }
      }
    } catch (error) {
      this.#pauseMs = this.#failure.failed(error);
      return tried;
    }
  }

  /** What cannot be said of one letter is said again when its lease is over, and stops no other. */
  async #guarded(letter: InboxDeadLetter): Promise<void> {
    try {
      await this.#replay(letter);
    } catch (error) {
      this.#options.logger.warn('The end of a replay could not be noted; it is tried again.', {
        messageId: letter.message.id,
        error: errorText(error),
      });
    }
  }

  async #replay(letter: InboxDeadLetter): Promise<void> {
    const { inbox, redeliver } = this.#options;
    const { message, group } = letter;
    const outcome = await redeliver({
      message,
      group,
      attempt: letter.replays,
      signal: this.#stop.signal,
    });
    const key = inboxKeyOf(group, message);
    if (outcome.kind === 'retry') await inbox.postponeReplay(key, outcome.delayMs);
    // A message that was not trusted before and is now was handled under its own id.
    else await inbox.endReplay(key, inboxKeyOf(group, withoutMark(message)));
  }
}
