import type {
  Clock,
  EngineBeat,
  EngineRegistry,
  FormattedDefinition,
  NewEngine,
  RunnableSaga,
} from '../ports/index.js';
import { isOneOf } from './memory-saga-rows.js';
import { MemoryTable } from './memory-table.js';
import type { MemoryTransactions } from './memory-transaction.js';

interface EngineRow {
  readonly service: string;
  readonly host: string;
  readonly pid: number;
  readonly ttlMs: number;
  readonly runs: readonly RunnableSaga[];
  readonly format: number;
  readonly beat: number;
  /**
   * The time of the last heartbeat, by the clock of this store, which stands for the database's clock.
   */
  readonly expiresAt: number;
}

/** Engines that were heard of lately. */
export interface EnginesHeard {
  lives(incarnation: string): boolean;
  /** Whether one of them runs the saga. */
  serve(saga: FormattedDefinition): boolean;
}

/** Heartbeats in memory. */
export class MemoryEngineRegistry implements EngineRegistry {
  readonly #transactions: MemoryTransactions;
  readonly #clock: Clock;
  readonly #rows = new MemoryTable<EngineRow>();

  constructor(transactions: MemoryTransactions, clock: Clock) {
    this.#transactions = transactions;
    this.#clock = clock;
  }

  /**
   * Whether an incarnation is a living engine, which is the case while its row exists, even if its
   * heartbeat is late.
   */
  lives(incarnation: string): boolean {
    return this.#rows.committed().has(incarnation);
  }

  /** The engines whose heartbeat is late by at most so many milliseconds. */
  heardLately(lateMs: number): EnginesHeard {
    const since = this.#clock.now() - lateMs;
    const heard = new Map(this.#rows.entries().filter(([, { expiresAt }]) => expiresAt >= since));
    return {
      lives: (incarnation) => heard.has(incarnation),
      serve: (saga) =>
        [...heard.values()].some(
          ({ runs, format }) => saga.format <= format && isOneOf(saga, runs),
        ),
    };
  }

  async register(engine: NewEngine): Promise<void> {
    const { incarnation, ...rest } = engine;
    await this.#transactions.within(undefined, (transaction) => {
      const row = { ...rest, beat: 1, expiresAt: this.#clock.now() + engine.ttlMs };
      this.#rows.set(incarnation, row, transaction);
    });
  }

  async beat(incarnation: string): Promise<boolean> {
    return this.#transactions.within(undefined, async (transaction) => {
      // declareDead holds the same lock, so a heartbeat that waits for its decision finds the row
      // deleted.
      await transaction.lock(`engine:${incarnation}`);
      const row = this.#rows.get(incarnation, transaction);
      if (row === undefined) return false;
      this.#rows.set(
        incarnation,
        { ...row, beat: row.beat + 1, expiresAt: this.#clock.now() + row.ttlMs },
        transaction,
      );
      return true;
    });
  }

  observe(): Promise<readonly EngineBeat[]> {
    const now = this.#clock.now();
    return Promise.resolve(
      this.#rows.entries().map(([incarnation, row]) => ({
        incarnation,
        beat: String(row.beat),
        overdue: now > row.expiresAt,
        ttlMs: row.ttlMs,
      })),
    );
  }

  async declareDead(incarnation: string, beat: string): Promise<boolean> {
    return this.#transactions.within(undefined, async (transaction) => {
      await transaction.lock(`engine:${incarnation}`);
      // The row is read only under the lock, because a heartbeat may have come during the wait.
      const row = this.#rows.get(incarnation, transaction);
      if (row === undefined) return false;
      if (String(row.beat) !== beat || this.#clock.now() <= row.expiresAt) return false;
      this.#rows.delete(incarnation, transaction);
      return true;
    });
  }

  async retire(incarnation: string): Promise<void> {
    await this.#transactions.within(undefined, async (transaction) => {
      await transaction.lock(`engine:${incarnation}`);
      this.#rows.delete(incarnation, transaction);
    });
  }
}
