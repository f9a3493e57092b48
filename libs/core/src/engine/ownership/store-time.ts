import type { Clock, InboxStore } from '../../ports/index.js';

/**
 * The store's clock, computed from the monotonic clock and a measured offset, so that neither this
 * host's date nor changes to it matter. It is exact enough for due times and deadlines of sagas; leases
 * are never decided by it.
 */
export class StoreTime {
  readonly #clock: Clock;
  readonly #inbox: Pick<InboxStore, 'msUntil'>;
  /** Store's milliseconds since 1970 minus the monotonic clock. */
  #offset: number;

  constructor(clock: Clock, inbox: Pick<InboxStore, 'msUntil'>) {
    this.#clock = clock;
    this.#inbox = inbox;
    this.#offset = clock.date().getTime() - clock.now();
  }

  now(): number {
    return this.at(this.#clock.now());
  }

  /** A moment of the monotonic clock. */
  at(moment: number): number {
    return moment + this.#offset;
  }

  /** Measures the offset. Rejects when the store cannot be reached. */
  async measure(): Promise<void> {
    const instant = this.#clock.date();
    const before = this.#clock.now();
    const msUntil = await this.#inbox.msUntil(instant.toISOString());
    // The store read its clock at some moment between the request and now.
    const middle = (before + this.#clock.now()) / 2;
    this.#offset = instant.getTime() - msUntil - middle;
  }
}
