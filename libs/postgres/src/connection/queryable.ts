import type { CustomTypesConfig, QueryResult, QueryResultRow } from 'pg';

/** One statement as `pg` takes it. A `name` makes it a prepared statement of its connection. */
export interface Statement {
  readonly text: string;
  readonly values?: unknown[];
  readonly name?: string;
  readonly types?: CustomTypesConfig;
}

/** Anything that runs statements as a `pg` client does. */
export interface Queryable {
  query<R extends QueryResultRow = QueryResultRow>(statement: Statement): Promise<QueryResult<R>>;
}
