import type { BrokerHealth, Clock } from '../ports/index.js';

/**
 * Remembers since when a broker has been up, or down, for the answers of `Broker.health`. A driver tells it
 * how each look ended; until the first one it has been up since it was made.
 */
export class BrokerHealthRecord {
  readonly #clock: Clock;
  #state: BrokerHealth['state'] = 'up';
  #since: Date;
  #sinceMs: number;

  constructor(clock: Clock) {
    this.#clock = clock;
    this.#since = clock.date();
    this.#sinceMs = clock.now();
  }

  /** The broker answered. */
  up(): BrokerHealth {
    return { state: 'up', ...this.#be('up') };
  }

  /** The broker cannot be used, because of this error. */
  down(error: unknown): BrokerHealth {
    return { state: 'down', error, ...this.#be('down') };
  }

  #be(state: BrokerHealth['state']): { readonly since: Date; readonly forMs: number } {
    if (state !== this.#state) {
      this.#state = state;
      this.#since = this.#clock.date();
      this.#sinceMs = this.#clock.now();
    }
    return { since: this.#since, forMs: this.#clock.now() - this.#sinceMs };
  }
}
