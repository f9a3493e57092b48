import type { Logger } from '@sagaz/core';
import type { QueryResult, QueryResultRow } from 'pg';
import { COLUMN_TYPES } from './column-types.js';
import type { Queryable, Statement } from './queryable.js';
import { isForgottenStatement } from './sql-state.js';

/**
 * Sends statements under their names only if the connection keeps its prepared statements.
 *
 * A pooler that gives each transaction another of its connections to the server (PgBouncer in
 * transaction mode) makes a name that was prepared on one unknown on the next (26000), and taken on one
 * on which another client prepared it (42P05); either error fails the transaction. So each client is
 * checked before its first named statement: behind a pooler, the backend process that was announced at
 * the connection is not the one that answers.
 */
export class NamedStatements {
  readonly #place: string;
  readonly #logger: Logger;
  readonly #kept = new WeakMap<Queryable, boolean | Promise<boolean>>();
  #off = false;
  #warned = false;

  constructor(place: string, logger: Logger) {
    this.#place = place;
    this.#logger = logger;
  }

  /** Runs the statement on this client, which may be an application's. */
  async run<R extends QueryResultRow>(
    client: Queryable,
    statement: Statement,
  ): Promise<QueryResult<R>> {
    if (statement.name === undefined) return client.query<R>(statement);
    let keeps = this.#off ? false : this.#keeps(client);
    if (typeof keeps !== 'boolean') keeps = await keeps;
    if (!keeps || this.#off) return client.query<R>(unnamed(statement));
    try {
      return await client.query<R>(statement);
    } catch (error) {
      // A pooler that was not detected shows itself by this error.
      if (isForgottenStatement(error)) {
        this.#off = true;
        this.#warn();
      }
      throw error;
    }
  }

  #keeps(client: Queryable): boolean | Promise<boolean> {
    const known = this.#kept.get(client);
    if (known !== undefined) return known;
    const asked = behindPooler(client).then((pooled) => {
      if (pooled) this.#warn();
      this.#kept.set(client, !pooled);
      return !pooled;
    });
    this.#kept.set(client, asked);
    asked.catch(() => this.#kept.delete(client));
    return asked;
  }

  #warn(): void {
    if (this.#warned) return;
    this.#warned = true;
    this.#logger.warn(
      'A pooler stands before the database: statements are not prepared, which costs some speed. Where it can be, give Sagaz a url past it.',
      { place: this.#place },
    );
  }
}

/** The statement without its name, to be parsed and planned for this one time. */
export function unnamed({ name: _, ...statement }: Statement): Statement {
  return statement;
}

/**
 * Whether a pooler between the process and the server shares its connections among clients. PgBouncer
 * and similar poolers give their clients a process number of their own, for cancel requests. A client
 * without such a number (another driver) counts as behind a pooler.
 */
export async function behindPooler(client: Queryable): Promise<boolean> {
  const { rows } = await client.query<{ pid: number }>({
    text: 'SELECT pg_backend_pid() AS pid',
    types: COLUMN_TYPES,
  });
  return !('processID' in client) || client.processID !== rows[0]?.pid;
}
