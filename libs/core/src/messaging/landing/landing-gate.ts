import type { Clock, Delivery, LandedSize, Logger, Timer } from '../../ports/index.js';
import { SubscriptionClosedError } from '../subscription-closed.error.js';
import { HeldKeyError, type HandledDelivery } from '../inbox/index.js';
import { landingBounds, type LandingBounds } from './landing-bounds.js';
import { RecentTrials } from './recent-trials.js';
import { Turns } from './turns.js';

/** The pause before the first probe, and the longest between two, in milliseconds. */
const FIRST_PROBE_MS = 1_000;
const LONGEST_PROBE_MS = 30_000;
/** A group that takes nothing more because too much has landed begins again below this share, in percent. */
const AGAIN_BELOW_PERCENT = 90;
/** When a delivery that was given back comes again, in milliseconds. */
const GIVEN_BACK_MS = 1_000;

/** What keeps a group from taking messages in this process. */
export interface LandingState {
  /** Nearly everything fails, and only probes are handled. */
  readonly open: boolean;
  /** So much has landed that nothing more is taken from the broker. */
  readonly full: boolean;
}

export interface LandingGateOptions {
  readonly group: string;
  readonly clock: Clock;
  readonly logger: Logger;
  /** Default: {@link DEFAULT_LANDING_BOUNDS}. */
  readonly bounds?: Partial<LandingBounds>;
  /**
   * Whether the group's broker keeps its retries. Then a failure puts nothing into the landing queue, so that
   * there is no breaker; and where too much has landed, the broker keeps what would land, and the rest goes on.
   */
  readonly keepsRetries: boolean;
}

type Handle = (delivery: Delivery) => Promise<HandledDelivery>;

/**
 * Bounds what a consumer group puts into its landing queue, in this process.
 *
 * Landing outruns handling many times. So while little has landed, a failure lands; but where much has
 * (the soft bound) and nearly all keys fail, no message is likely to succeed: the breaker opens, deliveries
 * wait here, so that the broker keeps its backlog, and one message at a time is tried, more and more seldom,
 * without using up its attempts. The first success closes the breaker. A group of which some keys still
 * succeed goes on, since those must not wait for the others. Where the queue is full, nothing more is taken in
 * any case, until the landing worker has made room.
 *
 * Delivered messages take part in the probes: otherwise a queue of messages that can never succeed would keep
 * the breaker open, although all others could.
 */
export class LandingGate {
  readonly #options: LandingGateOptions;
  readonly #bounds: LandingBounds;
  readonly #trials = new RecentTrials();
  readonly #turns = new Turns();
  #size: LandedSize = { messages: 0, bytes: 0 };
  #crowded = false;
  #open = false;
  #full = false;
  #closed = false;
  #pauseMs = FIRST_PROBE_MS;
  #probe: 'none' | 'paused' | 'due' | 'running' = 'none';
  #timer: Timer | null = null;

  /** @throws InvalidArgumentError for impossible bounds */
  constructor(options: LandingGateOptions) {
    this.#options = options;
    this.#bounds = landingBounds(`the landing queue of ${options.group}`, options.bounds);
  }

  get state(): LandingState {
    return { open: this.#open, full: this.#full };
  }

  /** Up to how many messages the landing queue must be counted. */
  get mostCounted(): number {
    return this.#bounds.maxMessages;
  }

  /** Whether a delivery may be put into the landing queue now. */
  get mayLand(): boolean {
    return !this.#full && !this.#open;
  }

  /** The problem and its remedy, for readiness; null while messages are taken. */
  get problem(): string | null {
    const { group, keepsRetries } = this.#options;
    const waiting = `${this.#size.messages} messages (${this.#size.bytes} bytes) wait in its landing queue`;
    if (this.#full) {
      const meanwhile = keepsRetries
        ? 'what would land stays with the broker'
        : 'nothing more is taken from the broker';
      return `The landing queue of group ${group} is full: ${waiting}, and ${meanwhile}. Mend what its handlers fail of, discard or replay dead letters that block their keys, or raise inbox.landing.maxMessages and maxBytes.`;
    }
    if (!this.#open) return null;
    return `The breaker of group ${group} is open: nearly all keys failed and ${waiting}, so that one message at a time is tried. Mend what its handlers fail of; the first success closes it.`;
  }

  /** Handles a delivery of the broker or of the landing queue, when it may be handled. Never rejects. */
  async pass(delivery: Delivery, handle: Handle): Promise<HandledDelivery> {
    while (this.#mustWait(delivery)) {
      if (this.#closed || delivery.signal.aborted) return this.#givenBack(delivery);
      if (this.#probe === 'due' && this.#mayProbe(delivery)) return this.#probed(delivery, handle);
      if ((await this.#turns.wait(delivery)) === 'probe') return this.#probed(delivery, handle);
    }
    if (!this.#crowded || this.#options.keepsRetries) return handle(delivery);
    const ended = (how: 'worked' | 'failed'): void => {
      this.#trials.note(keyOf(delivery), how, this.#options.clock.now());
      this.#judge();
    };
    return handle({ ...delivery, trial: { counts: true, ended } });
  }

  /** Takes the size of the landing queue into account. */
  measured(size: LandedSize): void {
    const { softMessages, softBytes, maxMessages, maxBytes } = this.#bounds;
    this.#size = size;
    this.#crowded = size.messages >= softMessages || size.bytes >= softBytes;
    const share = this.#full ? AGAIN_BELOW_PERCENT : 100;
    const full = size.messages * 100 >= maxMessages * share || size.bytes * 100 >= maxBytes * share;
    if (full !== this.#full) this.#setFull(full);
    if (!this.#crowded) {
      this.#trials.clear();
      if (this.#open) this.#shut('fewer messages wait in its landing queue');
    }
    this.#judge();
  }

  /** Gives back what waits; nothing is handled any more while it would have to wait. */
  close(): void {
    this.#closed = true;
    this.#timer?.cancel();
    this.#turns.wakeAll();
  }

  #mustWait({ landed }: Delivery): boolean {
    if (this.#options.keepsRetries) return false;
    return this.#open || (this.#full && landed === undefined);
  }

  /** A delivery could fail and land, where there is no room. */
  #mayProbe({ landed }: Delivery): boolean {
    return landed !== undefined || !this.#full;
  }

  #judge(): void {
    const { clock, group, logger, keepsRetries } = this.#options;
    if (this.#open || !this.#crowded || keepsRetries || !this.#trials.fails(clock.now())) return;
    this.#open = true;
    this.#pauseMs = FIRST_PROBE_MS;
    logger.error(
      `The breaker of group ${group} opens: nearly all keys fail, and much waits in its landing queue. Nothing more is taken from the broker; one message at a time is tried, and no attempt is used up.`,
      { group, ...this.#trials.share, waiting: this.#size.messages, bytes: this.#size.bytes },
    );
    this.#pause();
  }

  #shut(why: string): void {
    const { group, logger } = this.#options;
    this.#open = false;
    this.#trials.clear();
    this.#timer?.cancel();
    this.#probe = 'none';
    logger.info(`The breaker of group ${group} closes: ${why}. Messages are handled again.`, {
      group,
    });
    this.#turns.wakeAll();
  }

  #setFull(full: boolean): void {
    const { group, logger } = this.#options;
    this.#full = full;
    if (full) logger.error(this.problem ?? '', { group });
    else logger.info(`The landing queue of group ${group} has room again.`, { group });
    this.#turns.wakeAll();
  }

  #pause(): void {
    this.#timer?.cancel();
    this.#probe = 'paused';
    this.#timer = this.#options.clock.after(this.#pauseMs, () => {
      this.#pauseMs = Math.min(2 * this.#pauseMs, LONGEST_PROBE_MS);
      this.#next();
    });
  }

  /** The next delivery that waits is a probe, or the next one that comes. */
  #next(): void {
    const given = this.#turns.probe((delivery) => this.#mayProbe(delivery));
    this.#probe = given ? 'running' : 'due';
  }

  async #probed(delivery: Delivery, handle: Handle): Promise<HandledDelivery> {
    this.#probe = 'running';
    const seen: { how?: 'worked' | 'failed' } = {};
    const ended = (how: 'worked' | 'failed'): void => {
      seen.how = how;
    };
    const handled = await handle({ ...delivery, trial: { counts: false, ended } });
    if (!this.#open) return handled;
    if (seen.how === 'worked') this.#shut('a message was handled');
    else if (seen.how === undefined && saysNothing(handled)) this.#next();
    else this.#pause();
    return handled;
  }

  #givenBack({ signal }: Delivery): HandledDelivery {
    const error: unknown = signal.aborted ? signal.reason : new SubscriptionClosedError();
    return { kind: 'retry', delayMs: GIVEN_BACK_MS, counted: false, error };
  }
}

/** A duplicate, or a message that waits behind another one of its key, says nothing about the handlers. */
function saysNothing(handled: HandledDelivery): boolean {
  return handled.kind === 'done' || handled.error instanceof HeldKeyError;
}

/** What tells the key of a message from others; of one without a key, the message itself. */
function keyOf({ message, ordered = true }: Delivery): string {
  const { tenant, topic, key, source, id } = message;
  const parts = ordered && key !== '' ? [tenant, topic, key] : [tenant, topic, source, id, ''];
  return parts.join('\0');
}
