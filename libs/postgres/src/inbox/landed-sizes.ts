import { SIZED_MESSAGES, type LandedSize } from '@sagaz/core';
import type { SagazPool, SchemaName } from '../connection/index.js';

/** From so many messages on, plans that were made for an empty table are made anew. */
const FILLED = 1_000;

/** Measures landing queues. */
export class LandedSizes {
  readonly #pool: SagazPool;
  readonly #schema: string;
  #planned = false;

  constructor(pool: SagazPool, schema: SchemaName) {
    this.#pool = pool;
    this.#schema = schema.quoted;
  }

  /** @param queue the number of the queue */
  async of(queue: number, most: number): Promise<LandedSize> {
    const { rows } = await this.#pool.for('count').query<{ messages: string; bytes: string }>({
      text: `SELECT s.messages, s.bytes FROM ${this.#schema}.landing_size($1, $2, $3) AS s`,
      values: [queue, most, SIZED_MESSAGES],
    });
    const [row] = rows;
    if (row === undefined) throw new Error('landing_size returned no row.');
    const size = { messages: Number(row.messages), bytes: Number(row.bytes) };
    if (size.messages >= FILLED) await this.#plan();
    return size;
  }

  /**
   * A table that was restored or truncated has no pages in its statistics until its first vacuum, and every
   * session keeps the plans that it made for an empty table: each would then read the whole table. New
   * statistics have all sessions plan anew. A role that may not analyze the table only gets a warning.
   */
  async #plan(): Promise<void> {
    if (this.#planned) return;
    const { rows } = await this.#pool.for('count').query<{ pages: number }>({
      text: `SELECT c.relpages AS pages FROM pg_catalog.pg_class c WHERE c.oid = $1::regclass`,
      values: [`${this.#schema}.message`],
    });
    if (rows[0]?.pages === 0) {
      await this.#pool.for('count').query({ text: `ANALYZE ${this.#schema}.message` });
    }
    this.#planned = true;
  }
}
