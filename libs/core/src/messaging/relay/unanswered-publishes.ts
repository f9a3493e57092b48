import type { Clock } from '../../ports/index.js';
import type { TakenRow } from '../slots/index.js';

/** How many unanswered publishes may there be at once whose messages wait for the answer. */
const MOST_HANGING = 4;
/**
 * How many unanswered publishes, and how many bytes of payload in them, the broker's client may hold in
 * all.
 */
const MOST_UNANSWERED = 1_000;
const MOST_BYTES = 64 * 1_024 * 1_024;

interface Unanswered {
  readonly since: number;
  readonly bytes: number;
  givenUp: boolean;
}

/**
 * Publishes that the broker's client did not answer in time. The client keeps the messages of each in
 * memory until it answers, which it may never do, so the publishes and their bytes are counted and
 * bounded.
 */
export class UnansweredPublishes {
  readonly #clock: Clock;
  readonly #publishes = new Set<Unanswered>();
  #bytes = 0;
  #waiting = 0;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Whether the client may be given another publish. */
  get leavesRoom(): boolean {
    return this.#waiting < MOST_HANGING && !this.isFull;
  }

  /** Whether the client holds so much that it is given nothing more until it answers a publish. */
  get isFull(): boolean {
    return this.#publishes.size >= MOST_UNANSWERED || this.#bytes >= MOST_BYTES;
  }

  /**
   * Whether a publish whose messages still wait for it has been unanswered for this many milliseconds.
   */
  hangsFor(ms: number): boolean {
    for (const { since, givenUp } of this.#publishes) {
      if (!givenUp && this.#clock.now() - since >= ms) return true;
    }
    return false;
  }

  /**
   * Adds a publish that exceeded its time limit. Call `givenUp` when its messages do not wait for it
   * any more, and `settled` when the client has answered after all.
   */
  add(rows: readonly TakenRow[]): { readonly givenUp: () => void; readonly settled: () => void } {
    const bytes = rows.reduce((sum, { row }) => sum + row.message.payload.byteLength, 0);
    const unanswered: Unanswered = { since: this.#clock.now(), bytes, givenUp: false };
    this.#publishes.add(unanswered);
    this.#bytes += bytes;
    this.#waiting += 1;
    const givenUp = (): void => {
      if (unanswered.givenUp) return;
      unanswered.givenUp = true;
      this.#waiting -= 1;
    };
    return {
      givenUp,
      settled: () => {
        givenUp();
        if (this.#publishes.delete(unanswered)) this.#bytes -= bytes;
      },
    };
  }
}
