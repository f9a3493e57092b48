import { CommitUnknownError, propertyOf, TransactionAbortedError } from '@sagaz/core';
import type { QueryResult, QueryResultRow } from 'pg';
import { lastOf, type Landing } from './flight.js';
import type { HeldStatement } from './held-statements.js';
import { LIMITS } from './limits.js';
import type { Queryable, Statement } from './queryable.js';
import type { PooledClient } from './sagaz-pool.js';
import type { SessionCutter } from './session-cutter.js';
import { isConnectionError, sqlState } from './sql-state.js';

type Held = Omit<HeldStatement, 'limitMs'>;

// The isolation level is stated, because a role or a database may have another default. Under
// REPEATABLE READ, the second statement of an idempotent insert would not see the row that the first one
// waited for.
const BEGIN: Statement = {
  text: 'BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE',
  limitMs: LIMITS.begin,
};
const COMMIT: Statement = { text: 'COMMIT', limitMs: LIMITS.commit };
const ROLLBACK: Statement = { text: 'ROLLBACK', limitMs: LIMITS.rollback };

/**
 * A transaction on a connection of the store's own pool. BEGIN and the statements that are held back are
 * sent together with the next statement, so that none of them costs a round trip.
 */
export class OwnTransaction implements Queryable {
  readonly #client: PooledClient;
  readonly #cutter: SessionCutter;
  #begun = false;
  #held: Held[] = [];

  constructor(client: PooledClient, cutter: SessionCutter) {
    this.#client = client;
    this.#cutter = cutter;
  }

  async query<R extends QueryResultRow>(statement: Statement): Promise<QueryResult<R>> {
    const before = this.#take();
    if (before.length === 0) return this.#client.query<R>(statement);
    const landing = await this.#client.together<R>([...before, statement]);
    if (landing.kind === 'failed') throw landing.error;
    return lastOf(landing.results);
  }

  async open(): Promise<void> {
    if (this.#begun) return;
    this.#begun = true;
    await this.#client.query(BEGIN);
  }

  hold(held: Held): Promise<boolean> {
    this.#held.push(held);
    return Promise.resolve(true);
  }

  /** Commits and releases the connection. */
  async commit(): Promise<void> {
    // Without a statement there is no transaction at the server.
    if (!this.#begun && this.#held.length === 0) return this.#release();
    const held = this.#held;
    const before = this.#take();
    const landing = await this.#sendCommit(before);
    if (landing.kind === 'landed') {
      await this.#release();
      // PostgreSQL answers the COMMIT of a transaction in which a statement has failed with ROLLBACK and
      // reports no error.
      if (lastOf(landing.results).command !== 'COMMIT') throw new TransactionAbortedError();
      return;
    }
    const { error, part, skipped } = landing;
    if (part < before.length && skipped) {
      await this.rollBack();
      throw held[part - (before.length - held.length)]?.explained(error) ?? error;
    }
    // An ERROR in answer to COMMIT (a deferred constraint, a serialization failure) means that the
    // transaction was rolled back. If the connection ends instead, the outcome is unknown.
    const answered =
      skipped && sqlState(error) !== undefined && !isConnectionError(error) && !isFatal(error);
    this.#client.release(!answered);
    throw answered ? error : new CommitUnknownError({ cause: error });
  }

  /** Rolls back and releases the connection. Never rejects. */
  async rollBack(): Promise<void> {
    this.#held = [];
    try {
      await this.#cutter.cutting(this.#client.raw);
      if (this.#begun) await this.#client.query(ROLLBACK);
      this.#client.release();
    } catch {
      // Closing the connection rolls back as well. The caller gets the first error.
      this.#client.release(true);
    }
  }

  /** Takes what is to be sent before the next statement. */
  #take(): Statement[] {
    const before = this.#held.map(({ statement }) => statement);
    if (!this.#begun) before.unshift(BEGIN);
    this.#begun = true;
    this.#held = [];
    return before;
  }

  async #sendCommit(before: readonly Statement[]): Promise<Landing<QueryResultRow>> {
    try {
      return await this.#client.together([...before, COMMIT]);
    } catch (error) {
      return { kind: 'failed', error, part: 0, skipped: false };
    }
  }

  async #release(): Promise<void> {
    const cut = this.#cutter.cutting(this.#client.raw);
    if (cut !== undefined) await cut;
    this.#client.release(cut !== undefined);
  }
}

function isFatal(error: unknown): boolean {
  const severity = propertyOf(error, 'severity');
  return severity !== undefined && severity !== 'ERROR';
}
