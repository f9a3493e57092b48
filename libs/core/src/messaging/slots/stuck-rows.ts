import { errorText } from '../../errors/index.js';
import type { Clock, Logger, Timer } from '../../ports/index.js';
import { Backoff } from './backoff.js';
import type { TakenRow } from './slot-work.js';

const FIRST_PAUSE_MS = 1_000;
const LONGEST_PAUSE_MS = 10_000;
/** How often the report about stuck rows is repeated, in milliseconds. */
const SAY_AGAIN_MS = 60_000;

/** A row whose removal fails while others are removed. */
export interface StuckRow {
  readonly taken: TakenRow;
  readonly error: unknown;
  /** How many rows are stuck, this one counted. */
  readonly count: number;
}

/**
 * Rows that are done and could not be removed even alone. One of them is tried at a time, the one that
 * was tried longest ago, with growing pauses while none succeeds. However many there are, they cost the
 * store one statement in ten seconds, and once one is removed the others are tried at once.
 */
export class StuckRows {
  readonly #clock: Clock;
  readonly #remove: (row: TakenRow) => Promise<void>;
  readonly #setAside: (row: TakenRow) => void;
  readonly #stuck: (row: StuckRow) => void;
  readonly #backoff: Backoff;
  readonly #rows: TakenRow[] = [];
  #timer: Timer | undefined;
  #trying = false;
  /**
   * Whether other rows were removed since the last report, so that the row is at fault and not the
   * store.
   */
  #othersGo = false;
  #saidAt = -Infinity;

  constructor(options: {
    readonly clock: Clock;
    readonly remove: (row: TakenRow) => Promise<void>;
    readonly setAside: (row: TakenRow) => void;
    readonly stuck: (row: StuckRow) => void;
  }) {
    this.#clock = options.clock;
    this.#remove = options.remove;
    this.#setAside = options.setAside;
    this.#stuck = options.stuck;
    this.#backoff = new Backoff(options.clock, FIRST_PAUSE_MS, LONGEST_PAUSE_MS);
  }

  /** How many rows are stuck, the one that is being tried included. */
  get size(): number {
    return this.#rows.length + (this.#trying ? 1 : 0);
  }

  add(row: TakenRow): void {
    this.#rows.push(row);
    this.#setAside(row);
    this.#arm();
  }

  othersGo(): void {
    this.#othersGo = this.#rows.length > 0;
  }

  stop(): void {
    this.#backoff.stop();
    this.#timer?.cancel();
    this.#rows.length = 0;
  }

  #arm(): void {
    if (this.#trying || this.#timer !== undefined || this.#backoff.stopped) return;
    if (this.#rows.length === 0) return;
    this.#timer = this.#clock.after(this.#backoff.next(), () => {
      this.#timer = undefined;
      void this.#try();
    });
  }

  async #try(): Promise<void> {
    this.#trying = true;
    try {
      for (let row = this.#rows.shift(); row !== undefined; row = this.#rows.shift()) {
        try {
          await this.#remove(row);
          this.#backoff.reset();
        } catch (error) {
          if (this.#backoff.stopped) return;
          this.#rows.push(row);
          this.#report(row, error);
          return;
        }
      }
    } finally {
      this.#trying = false;
      this.#arm();
    }
  }

  #report(taken: TakenRow, error: unknown): void {
    if (!this.#othersGo || this.#clock.now() - this.#saidAt < SAY_AGAIN_MS) return;
    this.#othersGo = false;
    this.#saidAt = this.#clock.now();
    this.#stuck({ taken, error, count: this.#rows.length });
  }
}

/** Logs which row cannot be removed, and the consequence. */
export function reportStuckRow(name: string, logger: Logger): (row: StuckRow) => void {
  return ({ taken, error, count }) => {
    const { message } = taken.row;
    logger.warn(
      `${name}: a message is done and cannot be removed, while others can; the removal is tried again. The next owner of its slot will handle it once more. Look at the error, and for foreign keys, triggers or locks on its row.`,
      {
        messageId: message.id,
        topic: message.topic,
        slot: taken.row.slot,
        seq: taken.row.seq,
        stuck: count,
        error: errorText(error),
      },
    );
  };
}
