import type { Clock } from '../../ports/index.js';
import type { TakenRow } from '../slots/index.js';

/** So many publishes may hang at once while their messages wait for them. */
const MOST_HANGING = 4;
/** So many may hang in the broker's client in all, and so many bytes of payload in them. */
const MOST_UNANSWERED = 1_000;
const MOST_BYTES = 64 * 1_024 * 1_024;

interface Unanswered {
  readonly since: number;
  readonly bytes: number;
  givenUp: boolean;
}

/**
 * Publishes that the broker's client did not answer in time. Each keeps its messages in memory until the
 * client settles, which it may never do: so they are counted, and so are their bytes.
 */
export class UnansweredPublishes {
  readonly #clock: Clock;
  readonly #publishes = new Set<Unanswered>();
  #bytes = 0;
  #waiting = 0;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Whether something more may be given to the client. */
  get leavesRoom(): boolean {
    return this.#waiting < MOST_HANGING && !this.isFull;
  }

  /** So much hangs in the client that nothing more may be given to it until something settles. */
  get isFull(): boolean {
    return this.#publishes.size >= MOST_UNANSWERED || this.#bytes >= MOST_BYTES;
  }

  /** Whether a publish hangs for so many milliseconds whose messages still wait for it. */
  hangsFor(ms: number): boolean {
    for (const { since, givenUp } of this.#publishes) {
      if (!givenUp && this.#clock.now() - since >= ms) return true;
    }
    return false;
  }

  /**
   * A publish is beyond its time. `givenUp` is to be called when its messages wait for it no longer,
   * `settled` when the client has answered after all.
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
