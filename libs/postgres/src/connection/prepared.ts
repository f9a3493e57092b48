import { createHash } from 'node:crypto';
import { withArraysAsText } from './array-text.js';
import type { Statement } from './queryable.js';

/**
 * The last age, as a power of two in seconds, at which a statement is planned anew. Later, autovacuum's
 * ANALYZE has the plan renewed.
 */
const LAST_RENEWAL = 7;

/**
 * A statement that its connections prepare under a name: parsed and planned once instead of each
 * time, which is most of the cost of a small statement.
 *
 * A plan that was made while a table was empty reads the whole table, and is kept until the table
 * is analysed: up to a minute in which a fresh database fills and every statement reads all of it.
 * So the name changes 1, 3, 7, 15 … 127 seconds after the first use, and the plan with it.
 */
export class Prepared {
  readonly #text: string;
  readonly #name: string;
  #bornAt: number | null = null;
  /** The name until the next renewal, and the moment of that. */
  #current = '';
  #renewAt = 0;

  constructor(text: string) {
    this.#text = text;
    this.#name = `sagaz_${createHash('sha256').update(text).digest('hex').slice(0, 20)}`;
  }

  with(values: unknown[]): Statement {
    const now = performance.now();
    if (now >= this.#renewAt) this.#renew(now);
    return { name: this.#current, text: this.#text, values: withArraysAsText(values) };
  }

  #renew(now: number): void {
    this.#bornAt ??= now;
    const renewal = Math.min(LAST_RENEWAL, Math.floor(Math.log2((now - this.#bornAt) / 1000 + 1)));
    this.#current = `${this.#name}_${String(renewal)}`;
    this.#renewAt =
      renewal === LAST_RENEWAL ? Infinity : this.#bornAt + (2 ** (renewal + 1) - 1) * 1000;
  }
}
