import type { Clock, InboxStore } from '../../ports/index.js';

/** Within this distance of the expiry the database is asked; farther off, a recent answer serves. */
const MARGIN_MS = 10_000;
/** How old an answer may be to be called recent. Host clocks are not asked, so only drift counts. */
const RECENT_MS = 60_000;

/**
 * Whether commands have expired, by the database's clock. The database's time is remembered as a
 * distance to this process's monotonic clock, so that a command that has minutes left costs no round
 * trip; one that is near its end is asked for.
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
    // Before the question: the answer is then never thought to be younger than it is.
    const at = this.#clock.now();
    const left = await this.#inbox.msUntil(expiresAt);
    this.#reading = { databaseMs: instant - left, at };
    return left;
  }
}
