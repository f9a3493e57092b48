import pg from 'pg';
import { ORDERS_SCHEMA } from './src/schema.js';

export interface Books {
  readonly sagas: readonly { readonly id: string; readonly key: string; readonly status: string }[];
  readonly journal: readonly {
    readonly key: string;
    readonly kind: string;
    readonly step: string | null;
  }[];
  readonly placed: readonly string[];
  /** `<order>:<step>` for each row. */
  readonly local: readonly { readonly what: string; readonly pid: number }[];
  readonly external: readonly {
    readonly order: string;
    readonly step: string;
    readonly key: string;
    readonly pid: number;
  }[];
  readonly handled: readonly {
    readonly message: string;
    readonly type: string;
    readonly order: string;
  }[];
  /** Messages of steps that committed. */
  readonly published: readonly { readonly message: string; readonly type: string }[];
  readonly notes: readonly { readonly key: string; readonly n: number; readonly message: string }[];
  /** In the order in which they arrived, duplicates included. */
  readonly deliveries: readonly {
    readonly message: string;
    readonly key: string;
    readonly type: string;
    readonly n: number | null;
  }[];
  /** The messages that were given up and lie in an outbox. */
  readonly letters: readonly {
    readonly id: string;
    readonly status: string;
    readonly key: string;
    readonly attempts: number;
  }[];
}

/** Everything the application and Sagaz have written, read straight from the tables. */
export async function readBooks(url: string): Promise<Books> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  const all = async <T extends pg.QueryResultRow>(text: string): Promise<T[]> =>
    (await client.query<T>(text)).rows;
  try {
    return {
      sagas: await all(`SELECT id, key, status FROM ${ORDERS_SCHEMA}.saga_all ORDER BY key`),
      journal: await all(
        `SELECT s.key, j.kind, j.step FROM ${ORDERS_SCHEMA}.saga_journal_readable j
          JOIN ${ORDERS_SCHEMA}.saga_all s ON s.id = j.saga_id ORDER BY j.saga_id, j.revision, j.ordinal`,
      ),
      placed: (await all<{ order_id: string }>('SELECT order_id FROM app.placed')).map(
        ({ order_id }) => order_id,
      ),
      local: await all(
        `SELECT order_id || ':' || step AS what, pid FROM app.local_effect ORDER BY 1`,
      ),
      external: await all('SELECT order_id AS order, step, key, pid FROM app.external_effect'),
      handled: await all(
        'SELECT message_id AS message, type, order_id AS order FROM app.handler_effect',
      ),
      published: await all('SELECT message_id AS message, type FROM app.published'),
      notes: await all('SELECT key, n, message_id AS message FROM app.note ORDER BY key, n'),
      deliveries: await all(
        'SELECT message_id AS message, key, type, n FROM app.delivery ORDER BY seq',
      ),
      letters: await all(`SELECT id, status, key, attempts FROM ${ORDERS_SCHEMA}.message_readable`),
    };
  } finally {
    await client.end();
  }
}
