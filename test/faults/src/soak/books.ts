import pg from 'pg';
import { SCHEMAS } from './tables.js';

/** Each is a number of violations: 0 in books that are right. */
export interface Findings {
  /** Orders that were answered with "started" and have no saga. */
  readonly lostSagas: number;
  readonly unendedSagas: number;
  /** Sagas that ended otherwise than their order says. */
  readonly wrongEnds: number;
  readonly localEffectsWrong: number;
  readonly externalKeysWrong: number;
  readonly handlerEffectsWrong: number;
  readonly messagesLost: number;
  readonly messagesNeverCommitted: number;
  readonly outOfOrder: number;
  readonly deadLetters: number;
  /** Rows that are still in an outbox, in the broker, or put off in the inbox. */
  readonly messagesLeft: number;
}

const ENDED = `('completed', 'compensated', 'partially_committed', 'terminated', 'needs_attention')`;
const DUE_KIND = `CASE WHEN key LIKE 'good-%' THEN 'completed' ELSE 'compensated' END`;

/** What each order must have done, by its kind. */
const LOCAL_DUE = `
  SELECT key AS order_id, step FROM ${SCHEMAS.orders}.saga
    CROSS JOIN LATERAL unnest(CASE WHEN key LIKE 'good-%' THEN ARRAY['accept', 'confirm'] ELSE ARRAY['accept', 'reject'] END) AS step`;
const HANDLED_DUE = `
  SELECT key AS order_id, type FROM ${SCHEMAS.orders}.saga
    CROSS JOIN LATERAL unnest(CASE
      WHEN key LIKE 'good-%' THEN ARRAY['order.accept', 'stock.reserve', 'order.confirm']
      WHEN key LIKE 'bad-%' THEN ARRAY['order.accept', 'stock.reserve', 'stock.release', 'order.reject']
      ELSE ARRAY['order.accept', 'order.reject'] END) AS type`;

/** Rows that are in one of two lists only, or more than once in the second. */
function differences(due: string, done: string, columns: string): string {
  return `(SELECT count(*) FROM (
    (SELECT ${columns}, 1 AS times FROM (${due}) d EXCEPT SELECT ${columns}, count(*)::int FROM (${done}) e GROUP BY ${columns})
    UNION ALL
    (SELECT ${columns}, count(*)::int FROM (${done}) e GROUP BY ${columns} EXCEPT SELECT ${columns}, 1 FROM (${due}) d)) x)`;
}

/** First deliveries of a key, by number: each must be the one after the one before. */
const OUT_OF_ORDER = `(SELECT count(*) FROM (
  SELECT n, lag(n) OVER (PARTITION BY key ORDER BY first) AS before FROM (
    SELECT key, n, min(seq) AS first FROM app.delivery GROUP BY key, n, message_id) f) g
  WHERE before IS NOT NULL AND n <= before)`;

/** Reads the books straight from the servers, not through any proxy. */
export class Ledger {
  readonly #store: pg.Pool;
  readonly #broker: pg.Pool;

  constructor(storeUrl: string, brokerUrl: string) {
    const pool = (connectionString: string): pg.Pool => {
      const made = new pg.Pool({ connectionString, max: 2, application_name: 'soak ledger' });
      made.on('error', () => undefined);
      return made;
    };
    this.#store = pool(storeUrl);
    this.#broker = pool(brokerUrl);
  }

  /** Sagas that have ended; null while the server is away. */
  async ended(): Promise<number | null> {
    return this.#number(
      this.#store,
      `SELECT count(*) AS n FROM ${SCHEMAS.orders}.saga WHERE status IN ${ENDED}`,
    ).catch(() => null);
  }

  async messagesLeft(): Promise<number | null> {
    try {
      const here = await this.#number(
        this.#store,
        `SELECT (SELECT count(*) FROM ${SCHEMAS.orders}.outbox WHERE status <> 'dead_letter')
            + (SELECT count(*) FROM ${SCHEMAS.stock}.outbox WHERE status <> 'dead_letter') AS n`,
      );
      const there = await this.#number(
        this.#broker,
        `SELECT count(*) AS n FROM ${SCHEMAS.broker}.message WHERE status <> 'dead_letter'`,
      );
      return here + there;
    } catch {
      return null;
    }
  }

  /** Connections of clients on both servers, ours left out; null while one is away. */
  async connections(): Promise<number | null> {
    const text = `SELECT count(*) AS n FROM pg_stat_activity
      WHERE backend_type = 'client backend' AND application_name <> 'soak ledger'`;
    try {
      return (await this.#number(this.#store, text)) + (await this.#number(this.#broker, text));
    } catch {
      return null;
    }
  }

  /** Seconds from the start of a saga to its end, the longest of all. */
  async longestSaga(): Promise<number> {
    return this.#number(
      this.#store,
      `SELECT coalesce(round(extract(epoch FROM max(updated_at - created_at))), 0) AS n
        FROM ${SCHEMAS.orders}.saga WHERE status IN ${ENDED}`,
    );
  }

  async audit(started: ReadonlySet<string>): Promise<Findings> {
    const { rows } = await this.#store.query<{ key: string }>(
      `SELECT key FROM ${SCHEMAS.orders}.saga`,
    );
    const known = new Set(rows.map(({ key }) => key));
    const count = (text: string): Promise<number> =>
      this.#number(this.#store, `SELECT ${text} AS n`);
    return {
      lostSagas: [...started].filter((id) => !known.has(id)).length,
      unendedSagas: await count(
        `(SELECT count(*) FROM ${SCHEMAS.orders}.saga WHERE status NOT IN ${ENDED})`,
      ),
      wrongEnds: await count(
        `(SELECT count(*) FROM ${SCHEMAS.orders}.saga WHERE status IN ${ENDED} AND status <> ${DUE_KIND})`,
      ),
      localEffectsWrong: await count(
        differences(LOCAL_DUE, 'SELECT order_id, step FROM app.local_effect', 'order_id, step'),
      ),
      externalKeysWrong: await count(
        `(SELECT count(*) FROM ${SCHEMAS.orders}.saga s WHERE
            (SELECT count(DISTINCT e.key) FROM app.external_effect e WHERE e.order_id = s.key) <> 1
            OR NOT EXISTS (SELECT FROM app.external_effect e WHERE e.order_id = s.key AND e.step = 'charge')
            OR (s.key NOT LIKE 'good-%') <> EXISTS (SELECT FROM app.external_effect e WHERE e.order_id = s.key AND e.step = 'refund'))`,
      ),
      handlerEffectsWrong: await count(
        differences(HANDLED_DUE, 'SELECT order_id, type FROM app.handler_effect', 'order_id, type'),
      ),
      messagesLost: await count(
        `(SELECT count(*) FROM app.published p WHERE NOT EXISTS (SELECT FROM app.delivery d WHERE d.message_id = p.message_id))`,
      ),
      messagesNeverCommitted: await count(
        `(SELECT count(DISTINCT message_id) FROM app.delivery d WHERE NOT EXISTS (SELECT FROM app.published p WHERE p.message_id = d.message_id))`,
      ),
      outOfOrder: await count(OUT_OF_ORDER),
      deadLetters:
        (await count(
          `(SELECT count(*) FROM ${SCHEMAS.orders}.outbox WHERE status = 'dead_letter')
            + (SELECT count(*) FROM ${SCHEMAS.stock}.outbox WHERE status = 'dead_letter')
            + (SELECT count(*) FROM ${SCHEMAS.stock}.inbox_dead_letter)`,
        )) +
        (await this.#number(
          this.#broker,
          `SELECT count(*) AS n FROM ${SCHEMAS.broker}.message WHERE status = 'dead_letter'`,
        )),
      messagesLeft: (await this.messagesLeft()) ?? -1,
    };
  }

  async close(): Promise<void> {
    await Promise.allSettled([this.#store.end(), this.#broker.end()]);
  }

  async #number(pool: pg.Pool, text: string): Promise<number> {
    const { rows } = await pool.query<{ n: string | number }>(text);
    return Number(rows[0]?.n ?? 0);
  }
}
