import type { CustomTypesConfig, QueryResult, QueryResultRow } from 'pg';

/** A statement in the form of `pg`. A `name` makes it a prepared statement of its connection. */
export interface Statement {
  readonly text: string;
  readonly values?: unknown[];
  readonly name?: string;
  readonly types?: CustomTypesConfig;
  /**
   * The longest wait for its answer, in milliseconds. Default: the limit of its connection. See
   * `limits.ts`.
   */
  readonly limitMs?: number;
}

/** Anything that runs statements as a `pg` client does. */
export interface Queryable {
  query<R extends QueryResultRow = QueryResultRow>(statement: Statement): Promise<QueryResult<R>>;
}

/** Returns the same connections with this limit for each statement that has none of its own. */
export function limited(on: Queryable, limitMs: number): Queryable {
  return {
    query: <R extends QueryResultRow>(statement: Statement) =>
      on.query<R>({ limitMs, ...statement }),
  };
}
