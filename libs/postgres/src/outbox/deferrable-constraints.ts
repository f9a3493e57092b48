import type { Queryable, Statement } from '../connection/index.js';

/** How old an answer may be, in ms. */
const FRESH_MS = 30_000;

const LOOK: Statement = {
  text: 'SELECT EXISTS (SELECT FROM pg_constraint WHERE condeferrable) AS known',
};

/**
 * Whether the database has constraints that a transaction can defer to its COMMIT. Most have none, and
 * then nobody has to pay for checking them early in each transaction that publishes.
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

  /** True until it is known better. Never waits. */
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
      // The database is away; whoever publishes hears of it himself.
      this.#known = true;
    }
  }
}
