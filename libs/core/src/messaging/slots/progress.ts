import type { Clock } from '../../ports/index.js';
import type { SlotWork } from './slot-work.js';

/**
 * Whether a consumer gets on. Its leases are renewed only while it does: while reads come back, and of what
 * waits something is begun or ended within the patience of its work.
 */
export class Progress {
  readonly #clock: Clock;
  readonly #stallAfterMs: number;
  readonly #work: SlotWork;
  readonly #rows: { readonly waiting: number };
  #madeAt: number;

  /** @param rows how many wait to be worked on */
  constructor(
    clock: Clock,
    stallAfterMs: number,
    work: SlotWork,
    rows: { readonly waiting: number },
  ) {
    this.#clock = clock;
    this.#stallAfterMs = stallAfterMs;
    this.#work = work;
    this.#rows = rows;
    this.#madeAt = clock.now();
  }

  /** Something was begun or has ended. */
  made(): void {
    this.#madeAt = this.#clock.now();
  }

  /**
   * @param readAt when a read last came back
   * @param stalled whether the leases have been given up
   */
  alive(readAt: number, stalled: boolean): boolean {
    const now = this.#clock.now();
    if (now - readAt > this.#stallAfterMs) return false;
    // Once its slots are given up nothing waits any more: that is no progress.
    const waits = this.#rows.waiting > 0 && this.#work.waitsForItself !== true;
    if (!waits && !stalled) this.#madeAt = now;
    const patienceMs = Math.max(this.#stallAfterMs, this.#work.patienceMs);
    return now - this.#madeAt <= patienceMs;
  }
}
