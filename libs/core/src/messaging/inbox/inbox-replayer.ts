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
import { settlesWithin } from '../settles-within.js';
import { withoutMark } from '../signing/index.js';
import { SubscriptionClosedError } from '../subscription-closed.error.js';
import { inboxKeyOf } from './message-role.js';

const POLL_MS = 5_000;
const LONGEST_PAUSE_MS = 30_000;
const LEASE_MS = 60_000;
const CLOSE_MS = 10_000;
/** How many dead letters are handled at once. */
const AT_ONCE = 5;

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
  #looking: Promise<number> | null = null;
  readonly #replaying = new Set<Promise<void>>();
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

  #isStopped(): boolean {
    return this.#stop.signal.aborted;
  }

  /** Looks for letters to replay without waiting for the next poll. */
  nudge(): void {
    if (this.#isStopped()) return;
    if (this.#looking !== null) {
      // A dead letter that was marked after the read of the present look would otherwise wait for the
      // next poll.
      this.#again = true;
      return;
    }
    void this.runOnce();
  }

  /**
   * Handles the dead letters that are due, and waits for all that are under way. Returns how many were
   * begun. Never rejects.
   */
  async runOnce(): Promise<number> {
    this.#timer?.cancel();
    this.#timer = null;
    this.#looking ??= this.#look().finally(() => {
      this.#looking = null;
      if (this.#isStopped()) return;
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
    const tried = await this.#looking;
    await Promise.all(this.#replaying);
    return tried;
  }

  /**
   * Takes no more dead letters and waits at most `withinMs` milliseconds for those under way. If a
   * handler does not end, its dead letter is due again later, here or in another process.
   */
  async close(withinMs = CLOSE_MS): Promise<void> {
    this.#stop.abort(new SubscriptionClosedError());
    this.#timer?.cancel();
    const looking = this.#looking;
    if (looking === null && this.#replaying.size === 0) return;
    const ended = async (): Promise<void> => {
      await looking;
      await Promise.all(this.#replaying);
    };
    await settlesWithin(ended(), this.#options.clock, withinMs);
  }

  async #look(): Promise<number> {
    const { inbox, groups, leaseMs = LEASE_MS } = this.#options;
    let begun = 0;
    try {
      for (;;) {
        // A handler that takes long has one place, and the other dead letters go on in the others.
        while (this.#replaying.size >= AT_ONCE) await Promise.race(this.#replaying);
        if (this.#isStopped()) return begun;
        const free = AT_ONCE - this.#replaying.size;
        const letters = await inbox.takeReplays(groups, free, leaseMs);
        if (this.#isStopped()) return begun;
        for (const letter of letters) this.#begin(letter);
        begun += letters.length;
        if (letters.length < free) {
          this.#failure.worked();
          this.#pauseMs = 0;
          return begun;
        }
      }
    } catch (error) {
      this.#pauseMs = this.#failure.failed(error);
      return begun;
    }
  }

  #begin(letter: InboxDeadLetter): void {
    const replaying = this.#guarded(letter).finally(() => this.#replaying.delete(replaying));
    this.#replaying.add(replaying);
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
    const key = inboxKeyOf(group, message);
    const { signal } = this.#stop;
    const lease = this.#keepLeased(key);
    const outcome = await redeliver({ message, group, attempt: letter.replays, signal }).finally(
      () => lease.end(),
    );
    if (outcome.kind === 'retry') await inbox.postponeReplay(key, outcome.delayMs);
    // A message that was not trusted before but is now was handled under its own id.
    else await inbox.endReplay(key, inboxKeyOf(group, withoutMark(message)));
  }

  /**
   * Renews the lease of a dead letter whose handler takes long. Otherwise it would be taken again, here
   * or elsewhere, and each time would look like a death of the process before.
   */
  #keepLeased(key: InboxKey): { readonly end: () => Promise<void> } {
    const { inbox, clock, logger, leaseMs = LEASE_MS } = this.#options;
    let renewing: Promise<void> = Promise.resolve();
    let timer: Timer;
    const renewLater = (): void => {
      timer = clock.after(Math.ceil(leaseMs / 3), () => {
        renewing = inbox
          .postponeReplay(key, leaseMs)
          .catch((error: unknown) => {
            logger.warn('The lease of a replay could not be renewed; it is tried again.', {
              messageId: key.id,
              error: errorText(error),
            });
          })
          .finally(renewLater);
      });
    };
    renewLater();
    return {
      end: async () => {
        await renewing;
        timer.cancel();
      },
    };
  }
}
