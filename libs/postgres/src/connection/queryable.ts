import type { CustomTypesConfig, QueryResult, QueryResultRow } from 'pg';

/** One statement as `pg` takes it. A `name` makes it a prepared statement of its connection. */
export interface Statement {
  readonly text: string;
  readonly values?: unknown[];
  readonly name?: string;
  readonly types?: CustomTypesConfig;
  /** Milliseconds within which it is answered; without one that of its connection. See `limits.ts`. */
  readonly limitMs?: number;
}

/** Anything that runs statements as a `pg` client does. */
export interface Queryable {
  query<R extends QueryResultRow = QueryResultRow>(statement: Statement): Promise<QueryResult<R>>;
}

/** The same connections, where each statement that brings no limit of its own has this one. */
export function limited(on: Queryable, limitMs: number): Queryable {
  return {
    query: <R extends QueryResultRow>(statement: Statement) =>
      on.query<R>({ limitMs, ...statement }),
  };
}
