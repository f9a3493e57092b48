import type { Logger } from '@sagaz/core';
import type { QueryResult, QueryResultRow } from 'pg';
import { COLUMN_TYPES } from './column-types.js';
import { sendTogether, type Landing } from './flight.js';
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
  readonly #kept = new WeakMap<Queryable, boolean | Promise<void>>();
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
    const ready = this.ready(client);
    if (ready !== undefined) await ready;
    try {
      return await client.query<R>(this.on(client, statement));
    } catch (error) {
      this.failed(error);
      throw error;
    }
  }

  /** Sends statements together on this client. */
  async together<R extends QueryResultRow>(
    client: Queryable,
    statements: readonly Statement[],
  ): Promise<Landing<R>> {
    const ready = this.ready(client);
    if (ready !== undefined) await ready;
    const landing = await sendTogether<R>(
      client,
      statements.map((statement) => this.on(client, statement)),
    );
    if (landing.kind === 'failed') this.failed(landing.error);
    return landing;
  }

  /**
   * Finds out whether the client keeps its prepared statements, which {@link on} has to know; undefined:
   * it is known.
   */
  ready(client: Queryable): Promise<void> | undefined {
    const known = this.#off || this.#kept.get(client);
    if (typeof known === 'boolean') return undefined;
    if (known !== undefined) return known;
    const asked = behindPooler(client).then((pooled) => {
      if (pooled) this.#warn();
      this.#kept.set(client, !pooled);
    });
    this.#kept.set(client, asked);
    asked.catch(() => this.#kept.delete(client));
    return asked;
  }

  /** The statement as it is to be sent on a client that is {@link ready}: with its name or without. */
  on(client: Queryable, statement: Statement): Statement {
    return this.#off || this.#kept.get(client) !== true ? unnamed(statement) : statement;
  }

  /** A pooler that was not detected shows itself by the error of a statement with a name. */
  failed(error: unknown): void {
    if (!isForgottenStatement(error)) return;
    this.#off = true;
    this.#warn();
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
