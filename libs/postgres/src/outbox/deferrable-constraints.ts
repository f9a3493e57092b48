import type { Queryable, Statement } from '../connection/index.js';

/** How old an answer may be, in ms. */
const FRESH_MS = 30_000;

const LOOK: Statement = {
  text: 'SELECT EXISTS (SELECT FROM pg_constraint WHERE condeferrable) AS known',
};

/**
 * Finds out whether the database has constraints that a transaction can defer to its COMMIT. Most
 * databases have none, so that transactions that publish need not check them early.
 *
 * The answer may be half a minute old. A constraint that was made since can let two transactions wait
 * for each other at COMMIT; PostgreSQL ends one of them (40P01), and nothing is published that was not
 * committed.
 */
export class DeferrableConstraints {
  readonly #db: Queryable;
  readonly #freshMs: number;
  #known = true;
  #askedAt = Number.NEGATIVE_INFINITY;

  constructor(db: Queryable, freshMs = FRESH_MS) {
    this.#db = db;
    this.#freshMs = freshMs;
  }

  /** Whether there are such constraints; true until the answer is known. Never waits. */
  get exist(): boolean {
    if (performance.now() - this.#askedAt > this.#freshMs) {
      this.#askedAt = performance.now();
      void this.#look();
    }
    return this.#known;
  }

  async #look(): Promise<void> {
    try {
      const { rows } = await this.#db.query<{ known: boolean }>(LOOK);
      this.#known = rows[0]?.known ?? true;
    } catch {
      // The database is away. The transaction that publishes fails by itself then.
      this.#known = true;
    }
  }
}
