import type { Clock, SlotQueueStore } from '../../ports/index.js';
import type { Floors } from './floors.js';

const PROBE_EVERY_MS = 200;

/** Called with the result of each probe for the floors. */
export interface FloorProberEvents {
  /** Returns how long to wait before the next probe, in milliseconds. */
  readonly failed: (error: unknown) => number;
  readonly worked: () => void;
}

/** Asks the store for points from which floors can be raised, while rows are being removed. */
export class FloorProber {
  readonly #store: SlotQueueStore;
  readonly #clock: Clock;
  readonly #floors: Floors;
  readonly #events: FloorProberEvents;
  #probedAt = -Infinity;
  #removedSince = true;

  constructor(options: {
    readonly store: SlotQueueStore;
    readonly clock: Clock;
    readonly floors: Floors;
    readonly events: FloorProberEvents;
  }) {
    this.#store = options.store;
    this.#clock = options.clock;
    this.#floors = options.floors;
    this.#events = options.events;
  }

  /** Notes that a row has left memory, so that floors may rise. */
  removed(): void {
    this.#removedSince = true;
  }

  async probe(): Promise<void> {
    const now = this.#clock.now();
    if (!this.#removedSince || now - this.#probedAt < PROBE_EVERY_MS) return;
    this.#probedAt = now;
    this.#removedSince = false;
    try {
      this.#floors.addProbe(await this.#store.probeFloor());
      this.#events.worked();
    } catch (error) {
      // Without an answer the floors do not rise: reads take longer, and still find every row.
      this.#removedSince = true;
      this.#probedAt = now + this.#events.failed(error);
    }
  }
}
