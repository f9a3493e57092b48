import pg from 'pg';
import type { Wait } from './gauges.js';
import {
  ENDED,
  LONGEST_SAGAS,
  OLDEST_IN_GROUPS,
  OLDEST_IN_OUTBOXES,
  RULE_NAMES,
  RULES,
  type RuleName,
} from './rules.js';
import { SCHEMAS } from './tables.js';
import { trailOf } from './trail.js';

/** How often each rule is broken: 0 in books that are right. */
export type Findings = Readonly<Record<RuleName, number>>;

export interface Audit {
  readonly findings: Findings;
  /** Some of the rows that break a rule. */
  readonly examples: Readonly<Partial<Record<RuleName, readonly object[]>>>;
}

interface LongSaga {
  readonly seconds: number;
}

/** Enough to see what they have in common. */
const EXAMPLES = 5;
/** A server that does not answer has not come up again. */
const LIMITS = { connectionTimeoutMillis: 5_000, query_timeout: 60_000 };

const CLIENTS = `backend_type = 'client backend' AND application_name <> 'soak ledger'`;

/** Reads the books straight from the servers, not through any proxy. */
export class Ledger {
  readonly #store: pg.Pool;
  readonly #broker: pg.Pool;

  constructor(storeUrl: string, brokerUrl: string) {
    const pool = (connectionString: string): pg.Pool => {
      const name = 'soak ledger';
      const made = new pg.Pool({ connectionString, max: 2, application_name: name, ...LIMITS });
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
      `SELECT count(*) AS n FROM ${SCHEMAS.orders}.saga_all WHERE status IN ${ENDED}`,
    ).catch(() => null);
  }

  /** Messages in outboxes and in the broker; null while a server is away. */
  async messagesLeft(): Promise<number | null> {
    try {
      let left = 0;
      for (const { name, server, rows } of RULES) {
        if (name !== 'messagesLeft') continue;
        left += await this.#number(this.#pool(server), `SELECT count(*) AS n FROM (${rows}) AS r`);
      }
      return left;
    } catch {
      return null;
    }
  }

  /** Some of the messages that are left, with who serves their slots now. */
  async someMessagesLeft(): Promise<readonly object[]> {
    const found: object[] = [];
    for (const { name, server, rows: text } of RULES) {
      if (name !== 'messagesLeft') continue;
      const { rows } = await this.#pool(server).query<{ readonly row: object }>(
        `SELECT to_json(r) AS row FROM (${text}) AS r ORDER BY r.created_at LIMIT ${EXAMPLES}`,
      );
      found.push(...rows.map(({ row }) => row));
    }
    return found;
  }

  /** The oldest message in each queue; none of a server that is away. */
  async oldestMessages(): Promise<readonly Wait[]> {
    const read = async (pool: pg.Pool, text: string): Promise<readonly Wait[]> =>
      pool.query<Wait & object>(text).then(
        ({ rows }) => rows,
        () => [],
      );
    return [
      ...(await read(this.#store, OLDEST_IN_OUTBOXES)),
      ...(await read(this.#broker, OLDEST_IN_GROUPS)),
    ];
  }

  /** The history, on both servers, of messages that waited too long, with the owners of their slots. */
  async explainWaits(waits: readonly Wait[]): Promise<readonly object[]> {
    const explained: object[] = [];
    for (const wait of waits) {
      const ids = 'id' in wait.row ? [String(wait.row.id)] : [];
      const [outbox, broker] = [await trailOf(this.#store, ids), await trailOf(this.#broker, ids)];
      explained.push({ ...wait, outbox, broker });
    }
    return explained;
  }

  /** The connections that `connections` counts. */
  async openConnections(): Promise<readonly object[]> {
    const read = async (pool: pg.Pool, server: string): Promise<readonly object[]> =>
      pool
        .query<object>(
          `SELECT $1 AS server, application_name, state, backend_start, state_change, wait_event, query
            FROM pg_stat_activity WHERE ${CLIENTS} ORDER BY backend_start LIMIT ${EXAMPLES}`,
          [server],
        )
        .then(
          ({ rows }) => rows,
          () => [],
        );
    return [...(await read(this.#store, 'store')), ...(await read(this.#broker, 'broker'))];
  }

  /** Connections of clients on both servers, ours left out; null while one is away. */
  async connections(): Promise<number | null> {
    const text = `SELECT count(*) AS n FROM pg_stat_activity WHERE ${CLIENTS}`;
    try {
      return (await this.#number(this.#store, text)) + (await this.#number(this.#broker, text));
    } catch {
      return null;
    }
  }

  /** Those that took longest from their start to their end, the longest first. */
  async longestSagas(): Promise<readonly LongSaga[]> {
    const { rows } = await this.#store.query<LongSaga>(LONGEST_SAGAS, [EXAMPLES]);
    return rows;
  }

  async audit(started: ReadonlySet<string>): Promise<Audit> {
    const findings = Object.fromEntries(RULE_NAMES.map((name) => [name, 0])) as Record<
      RuleName,
      number
    >;
    const examples: Partial<Record<RuleName, readonly object[]>> = {};
    for (const { name, server, rows: text } of RULES) {
      const { rows } = await this.#pool(server).query<{ readonly total: number; row: object }>(
        `SELECT count(*) OVER ()::int AS total, to_json(r) AS row FROM (${text}) AS r LIMIT ${EXAMPLES}`,
        text.includes('$1') ? [[...started]] : [],
      );
      const [first] = rows;
      if (first === undefined) continue;
      findings[name] += first.total;
      examples[name] = [...(examples[name] ?? []), ...rows.map(({ row }) => row)];
    }
    const { outOfOrder } = examples;
    if (outOfOrder === undefined) return { findings, examples };
    const explained = await this.#explained(outOfOrder);
    return { findings, examples: { ...examples, outOfOrder: explained } };
  }

  async close(): Promise<void> {
    await Promise.allSettled([this.#store.end(), this.#broker.end()]);
  }

  /** With all that is known of the two messages: their deliveries, and what became of them on both servers. */
  async #explained(overtaken: readonly object[]): Promise<readonly object[]> {
    const explained: object[] = [];
    for (const row of overtaken) {
      const ids = Object.entries(row).flatMap(([name, value]) =>
        name === 'message_id' || name === 'overtaken_by' ? [String(value)] : [],
      );
      const { rows: deliveries } = await this.#store.query<object>(
        'SELECT * FROM app.delivery WHERE message_id = ANY ($1) ORDER BY seq',
        [ids],
      );
      const [outbox, broker] = [await trailOf(this.#store, ids), await trailOf(this.#broker, ids)];
      explained.push({ ...row, deliveries, outbox, broker });
    }
    return explained;
  }

  #pool(server: 'store' | 'broker'): pg.Pool {
    return server === 'store' ? this.#store : this.#broker;
  }

  async #number(pool: pg.Pool, text: string): Promise<number> {
    const { rows } = await pool.query<{ n: string | number }>(text);
    return Number(rows[0]?.n ?? 0);
  }
}
