import type { QueryResult, QueryResultRow } from 'pg';
import type { PooledClient, Queryable, SagazPool, Statement } from '../connection/index.js';

interface Explained {
  readonly 'QUERY PLAN': readonly [{ readonly Plan: Readonly<Record<string, number>> }];
}

/** Runs statements and counts the pages that each looks at, functions that it calls included. */
export class PageCounter implements Queryable {
  readonly #pool: SagazPool;
  #pages = 0;

  constructor(pool: SagazPool) {
    this.#pool = pool;
  }

  /** The pages that the statements of a call look at. */
  async pagesOf(call: () => Promise<unknown>): Promise<number> {
    this.#pages = 0;
    await call();
    return this.#pages;
  }

  async query<R extends QueryResultRow>({ text, values }: Statement): Promise<QueryResult<R>> {
    const client = await this.#pool.connect();
    try {
      this.#pages += await pagesOf(client, { text, ...(values === undefined ? {} : { values }) });
      return await client.query<R>({ text, ...(values === undefined ? {} : { values }) });
    } finally {
      client.release();
    }
  }
}

/** The second of two runs counts: the first may read the catalog and plan what a function runs. */
async function pagesOf(client: PooledClient, { text, values }: Statement): Promise<number> {
  await client.query({ text: 'BEGIN' });
  try {
    let pages = 0;
    for (let run = 0; run < 2; run += 1) {
      await client.query({ text: 'SAVEPOINT before' });
      const { rows } = await client.query<Explained & QueryResultRow>({
        text: `EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) ${text}`,
        ...(values === undefined ? {} : { values }),
      });
      await client.query({ text: 'ROLLBACK TO before' });
      const plan = rows[0]?.['QUERY PLAN'][0].Plan ?? {};
      pages = (plan['Shared Hit Blocks'] ?? 0) + (plan['Shared Read Blocks'] ?? 0);
    }
    return pages;
  } finally {
    await client.query({ text: 'ROLLBACK' });
  }
}
