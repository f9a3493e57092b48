import { errorText } from '../../errors/index.js';
import { guardedLogger } from '../../observers/index.js';
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
/** How many dead letters are handled at once. */
const BATCH = 5;

export interface InboxReplayerOptions {
  readonly inbox: InboxStore;
  readonly clock: Clock;
  readonly logger: Logger;
  /** The groups whose handlers this process has. */
  readonly groups: readonly string[];
  /** The function by which a subscription handles a delivery. Never rejects. */
  readonly redeliver: (delivery: Delivery) => Promise<DeliveryOutcome>;
  /** How often the store is asked for requests of other processes, in ms. Default 5,000. */
  readonly pollMs?: number;
  /** How long this process leases a dead letter, in ms. Default 60,000. */
  readonly leaseMs?: number;
}

/**
 * Handles dead letters again that were marked for replay, by this process or by another client of the
 * database. The message does not go through the broker, because other groups have handled it and must
 * not get it again. Its dead letter is kept until its inbox row is done, so a crash meanwhile loses
 * nothing; a failure makes it a dead letter again. Its order within its key is lost, since later
 * messages of the key have been handled meanwhile.
 */
export class InboxReplayer {
  readonly #options: InboxReplayerOptions;
  readonly #failure: RepeatedFailure;
  readonly #stop = new AbortController();
  #timer: Timer | null = null;
  #round: Promise<number> | null = null;
  #again = false;
  #pauseMs = 0;

  constructor(given: InboxReplayerOptions) {
    const options = { ...given, logger: guardedLogger(given.logger) };
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

  /** Looks for dead letters to replay now, and from then on regularly. */
  start(): void {
    this.nudge();
  }

  /** Marks dead letters for replay and begins at once. Returns the outcome for each. */
  async replay(keys: readonly InboxKey[]): Promise<readonly DeadLetterOutcome[]> {
    const outcomes = await this.#options.inbox.requestReplay(keys);
    if (outcomes.includes('done')) this.nudge();
    return outcomes;
  }

  /** The problem in words, for health; null while it works. */
  get problem(): string | null {
    return this.#failure.problem;
  }

  /** Looks for letters to replay without waiting for the next poll. */
  nudge(): void {
    if (this.#stop.signal.aborted) return;
    if (this.#round !== null) {
      // A dead letter that was marked after the read of the present round would otherwise wait for the
      // next poll.
      this.#again = true;
      return;
    }
    void this.runOnce();
  }

  /**
   * Does one round: handles the dead letters that are due. Returns how many were tried. Never rejects.
   */
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
   * Takes no more dead letters and waits at most `withinMs` milliseconds for those under way. If a
   * handler does not end, its dead letter is due again later, here or in another process.
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
        // They are handled at the same time, so that one handler that hangs does not delay the others.
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

  /**
   * If the end of one replay cannot be noted, it is tried again when the lease is over; others go on.
   */
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
    // A message that was not trusted before but is now was handled under its own id.
    else await inbox.endReplay(key, inboxKeyOf(group, withoutMark(message)));
  }
}
