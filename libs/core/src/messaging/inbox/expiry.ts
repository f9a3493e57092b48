import type { Clock, InboxStore } from '../../ports/index.js';
import type { MessagePart } from './message-role.js';

/**
 * The database is asked only if less than this is left until the expiry, in milliseconds; otherwise a
 * recent answer is enough.
 */
const MARGIN_MS = 10_000;
/** How old such an answer may be, in milliseconds. Only the drift of the monotonic clock matters. */
const RECENT_MS = 60_000;

/**
 * Whether commands have expired, by the database's clock. The database's time is remembered as an
 * offset to this process's monotonic clock, so that a command that has minutes left costs no round
 * trip; for one that is near its expiry the database is asked.
 */
export class Expiry {
  readonly #inbox: InboxStore;
  readonly #clock: Clock;
  #reading: { readonly databaseMs: number; readonly at: number } | null = null;

  constructor(inbox: InboxStore, clock: Clock) {
    this.#inbox = inbox;
    this.#clock = clock;
  }

  /** Milliseconds left; negative: expired. */
  async remainingMs(expiresAt: string): Promise<number> {
    const instant = Date.parse(expiresAt);
    const reading = this.#reading;
    if (reading !== null) {
      const age = this.#clock.now() - reading.at;
      const left = instant - (reading.databaseMs + age);
      if (age < RECENT_MS && left > MARGIN_MS) return left;
    }
    // The clock is read before the question, so that the answer is never thought to be younger than it
    // is.
    const at = this.#clock.now();
    const left = await this.#inbox.msUntil(expiresAt);
    this.#reading = { databaseMs: instant - left, at };
    return left;
  }

  /**
   * Limits the delay of a retry. A command is not put off beyond its expiry: the compensation that its
   * saga sends meanwhile would wait behind it in the same key, though the command would not be carried
   * out.
   */
  async withinLife(part: MessagePart, delayMs: number): Promise<number> {
    if (part.role !== 'command' || part.expiresAt === null) return delayMs;
    const left = await this.remainingMs(part.expiresAt);
    return Math.min(delayMs, Math.max(0, Math.ceil(left)) + 1);
  }
}
