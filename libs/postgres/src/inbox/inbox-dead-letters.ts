import {
  type DeadLetterFilter,
  type DeadLetterOutcome,
  type InboxDeadLetter,
  type InboxDeath,
  type InboxKey,
  type Message,
  checkDeadLetterFilter,
} from '@sagaz/core';
import {
  apart,
  epochMs,
  inPlainJson,
  inPlainText,
  isLockTimeout,
  storable,
  type PgTransactions,
  type Queryable,
  type SchemaName,
  type SagazPool,
} from '../connection/index.js';
import { keyValues, tryToEnd } from './inbox-claims.js';

interface LetterRow {
  readonly group_name: string;
  readonly place: string;
  readonly envelope: string;
  readonly payload: Buffer;
  readonly attempts: number;
  readonly reason: string;
  readonly error: string;
  readonly died_at: number;
  readonly replaying: boolean;
  readonly replays: number;
}

const COLUMNS = `l.group_name, l.place, l.envelope::text AS envelope, l.payload, l.attempts, l.reason,
  l.error, ${epochMs('l.died_at')} AS died_at, l.replay_due_at IS NOT NULL AS replaying, l.replays`;
const KEY = '(tenant, group_name, source, id)';
const KEYS = `unnest($1::text[], $2::text[], $3::text[], $4::text[]) AS k ${KEY}`;
const PLACED_KEYS = `unnest($1::text[], $2::text[], $3::text[], $4::text[])
  WITH ORDINALITY AS k (tenant, group_name, source, id, place)`;

/**
 * How long a discard waits for a lock at most, and how long it may pause between two of its own
 * statements, in ms.
 */
const DISCARD_WAIT_MS = 5_000;
const DISCARD_AT_ONCE = 100;

interface OutcomeRow {
  readonly outcome: DeadLetterOutcome;
}

/** Messages of the inbox that were given up. */
export class InboxDeadLetters {
  readonly #pool: SagazPool;
  readonly #transactions: PgTransactions;
  readonly #schema: string;

  constructor(pool: SagazPool, transactions: PgTransactions, schema: SchemaName) {
    this.#pool = pool;
    this.#transactions = transactions;
    this.#schema = schema.quoted;
  }

  /**
   * Keeps a message whose inbox row the transaction has just written. If the database refuses a text
   * (its encoding lacks a character), the text is escaped, because the dead letter is all that is left
   * of the message.
   */
  async put(on: Queryable, key: InboxKey, death: InboxDeath): Promise<void> {
    await on.query({ text: 'SAVEPOINT sagaz_letter' });
    await apart(
      [death],
      async () => {
        await this.#put(on, key, death, storable, (json) => json);
        return [];
      },
      async () => {
        await on.query({ text: 'ROLLBACK TO SAVEPOINT sagaz_letter' });
        await this.#put(on, key, death, inPlainText, inPlainJson);
      },
    );
    await on.query({ text: 'RELEASE SAVEPOINT sagaz_letter' });
  }

  async #put(
    on: Queryable,
    key: InboxKey,
    death: InboxDeath,
    kept: (text: string) => string,
    keptJson: (json: string) => string,
  ): Promise<void> {
    const { payload, ...envelope } = death.message;
    await on.query({
      text: `WITH forgotten AS (
          DELETE FROM ${this.#schema}.inbox_attempt
          WHERE tenant = $1 AND group_name = $2 AND source = $3 AND id = $4
        )
        INSERT INTO ${this.#schema}.inbox_dead_letter
          (tenant, group_name, source, id, topic, key, type, envelope, payload, attempts, reason, error)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8::json, $9, $10, $11, $12)
        ON CONFLICT ${KEY} DO UPDATE SET
          place = DEFAULT, topic = excluded.topic, key = excluded.key, type = excluded.type,
          envelope = excluded.envelope, payload = excluded.payload, attempts = excluded.attempts,
          reason = excluded.reason, error = excluded.error, died_at = excluded.died_at,
          replay_due_at = NULL, replays = 0`,
      values: [
        ...keyValues(key),
        kept(envelope.topic),
        kept(envelope.key),
        kept(envelope.type),
        keptJson(JSON.stringify(envelope)),
        Buffer.from(payload.buffer, payload.byteOffset, payload.byteLength),
        death.attempts,
        kept(death.reason),
        kept(death.error),
      ],
    });
  }

  async list(filter: DeadLetterFilter): Promise<readonly InboxDeadLetter[]> {
    checkDeadLetterFilter(filter);
    const { rows } = await this.#pool.query<LetterRow>({
      text: `SELECT ${COLUMNS} FROM ${this.#schema}.inbox_dead_letter AS l
        WHERE ($1::text IS NULL OR l.topic = $1) AND ($2::text IS NULL OR l.type = $2)
          AND ($3::text IS NULL OR l.key = $3) AND ($4::text IS NULL OR l.group_name = $4)
          AND l.place > $5::bigint
        ORDER BY l.place LIMIT $6`,
      values: [
        filter.topic ?? null,
        filter.type ?? null,
        filter.key ?? null,
        filter.group ?? null,
        filter.after ?? '0',
        filter.limit ?? 50,
      ],
    });
    return rows.map(letterOf);
  }

  async count(): Promise<number> {
    const { rows } = await this.#pool.for('count').query<{ count: string }>({
      text: `SELECT count(*) AS count FROM ${this.#schema}.inbox_dead_letter`,
    });
    return Number(rows[0]?.count ?? 0);
  }

  requestReplay(keys: readonly InboxKey[]): Promise<readonly DeadLetterOutcome[]> {
    return apart(keys, (part) => this.#requestReplay(part), unknown);
  }

  /**
   * One statement: the dead letters are locked in one order and marked, and their inbox rows are
   * cleared.
   */
  async #requestReplay(keys: readonly InboxKey[]): Promise<readonly DeadLetterOutcome[]> {
    const { rows } = await this.#pool.query<OutcomeRow>({
      text: `WITH letters AS MATERIALIZED (
          SELECT l.tenant, l.group_name, l.source, l.id FROM ${this.#schema}.inbox_dead_letter AS l
          WHERE (l.tenant, l.group_name, l.source, l.id) IN (SELECT k.* FROM ${KEYS})
          ORDER BY l.tenant, l.group_name, l.source, l.id
          FOR UPDATE
        ), marked AS (
          UPDATE ${this.#schema}.inbox_dead_letter AS l SET replay_due_at = clock_timestamp()
          FROM letters AS k
          WHERE ${sameKey('l', 'k')}
          RETURNING l.tenant, l.group_name, l.source, l.id
        ), cleared AS (
          -- Only what is dead: a message that was handled meanwhile stays handled.
          DELETE FROM ${this.#schema}.inbox AS i USING marked AS k
          WHERE ${sameKey('i', 'k')} AND i.state = 'dead'
        )
        SELECT CASE WHEN i.state = 'done' THEN 'ended' WHEN m.id IS NULL THEN 'unknown' ELSE 'done' END AS outcome
        FROM ${PLACED_KEYS}
        LEFT JOIN marked AS m ON ${sameKey('m', 'k')}
        LEFT JOIN ${this.#schema}.inbox AS i ON ${sameKey('i', 'k')}
        ORDER BY k.place`,
      values: arrays(keys),
    });
    return rows.map(({ outcome }) => outcome);
  }

  /** One statement. Dead letters that another process is taking are left to it. */
  async takeReplays(
    groups: readonly string[],
    limit: number,
    leaseMs: number,
  ): Promise<readonly InboxDeadLetter[]> {
    const { rows } = await this.#pool.for('work').query<LetterRow>({
      text: `WITH due AS MATERIALIZED (
          SELECT d.tenant, d.group_name, d.source, d.id FROM ${this.#schema}.inbox_dead_letter AS d
          WHERE d.replay_due_at <= clock_timestamp() AND d.group_name = ANY ($1)
          ORDER BY d.place LIMIT $2
          FOR UPDATE SKIP LOCKED
        )
        UPDATE ${this.#schema}.inbox_dead_letter AS l
        SET replay_due_at = clock_timestamp() + $3 * interval '1 millisecond', replays = l.replays + 1
        FROM due WHERE ${sameKey('l', 'due')}
        RETURNING ${COLUMNS}`,
      values: [groups, limit, leaseMs],
    });
    return rows.map(letterOf).sort((a, b) => (BigInt(a.cursor) < BigInt(b.cursor) ? -1 : 1));
  }

  async postponeReplay(key: InboxKey, delayMs: number): Promise<void> {
    await this.#pool.for('inbox').query({
      text: `UPDATE ${this.#schema}.inbox_dead_letter
        SET replay_due_at = clock_timestamp() + $5 * interval '1 millisecond'
        WHERE tenant = $1 AND group_name = $2 AND source = $3 AND id = $4
          AND replay_due_at IS NOT NULL`,
      values: [...keyValues(key), delayMs],
    });
  }

  async endReplay(key: InboxKey, handledAs: InboxKey = key): Promise<void> {
    const same = keyValues(key).every((part, at) => part === keyValues(handledAs)[at]);
    await this.#pool.for('inbox').query({
      text: `DELETE FROM ${this.#schema}.inbox_dead_letter AS l USING ${this.#schema}.inbox AS i
        WHERE l.tenant = $1 AND l.group_name = $2 AND l.source = $3 AND l.id = $4
          AND l.replay_due_at IS NOT NULL
          AND i.tenant = $5 AND i.group_name = $6 AND i.source = $7 AND i.id = $8
          AND (i.state = 'done' OR NOT $9::boolean)`,
      values: [...keyValues(key), ...keyValues(handledAs), same],
    });
  }

  /**
   * Works in portions, because each dead letter takes a lock in the memory that all connections share.
   */
  async discard(keys: readonly InboxKey[]): Promise<readonly DeadLetterOutcome[]> {
    const outcomes: DeadLetterOutcome[] = [];
    for (let at = 0; at < keys.length; at += DISCARD_AT_ONCE) {
      const portion = keys.slice(at, at + DISCARD_AT_ONCE);
      outcomes.push(...(await apart(portion, (part) => this.#discardUnlessLocked(part), unknown)));
    }
    return outcomes;
  }

  async #discardUnlessLocked(keys: readonly InboxKey[]): Promise<readonly DeadLetterOutcome[]> {
    try {
      return await this.#discard(keys);
    } catch (error) {
      if (!isLockTimeout(error)) throw error;
      return keys.map(() => 'busy');
    }
  }

  /**
   * Locks inbox rows first and dead letters second, the order in which a message is dead-lettered, so
   * that the two cannot deadlock. A handler that replays a dead letter holds the lock of its message;
   * that lock is tried and not waited for, so such a dead letter is left and the others are discarded.
   */
  #discard(keys: readonly InboxKey[]): Promise<readonly DeadLetterOutcome[]> {
    return this.#transactions.run(async (transaction) => {
      // A claim of one of these messages waits for this transaction without a bound of its own, and
      // this transaction for single statements of others.
      await transaction.query({
        text: `SELECT set_config('idle_in_transaction_session_timeout', $1, true), set_config('lock_timeout', $1, true)`,
        values: [String(DISCARD_WAIT_MS)],
      });
      const { rows: free } = await transaction.query<{ place: string }>({
        text: `WITH letters AS MATERIALIZED (
            SELECT k.place, l.group_name, l.id FROM ${PLACED_KEYS}
            JOIN ${this.#schema}.inbox_dead_letter AS l ON ${sameKey('l', 'k')}
          )
          SELECT place FROM letters WHERE ${tryToEnd('group_name', 'id')}`,
        values: arrays(keys),
      });
      const places = free.map(({ place }) => place);
      const { rows: discarded } = await transaction.query<{ place: string }>({
        text: `WITH letters AS MATERIALIZED (
            SELECT k.place, k.tenant, k.group_name, k.source, k.id FROM ${PLACED_KEYS}
            WHERE k.place = ANY ($5::bigint[])
          ), ended AS (
            INSERT INTO ${this.#schema}.inbox AS i (tenant, group_name, source, id, state)
            SELECT DISTINCT k.tenant, k.group_name, k.source, k.id, 'done' FROM letters AS k
            ORDER BY 1, 2, 3, 4
            ON CONFLICT ${KEY} DO UPDATE SET state = 'done', claimed_at = clock_timestamp()
            -- A message that was handled meanwhile is done already, and was not discarded.
            WHERE i.state = 'dead'
            RETURNING i.tenant, i.group_name, i.source, i.id
          )
          SELECT k.place FROM letters AS k JOIN ended AS e ON ${sameKey('e', 'k')}`,
        values: [...arrays(keys), places],
      });
      const { rows } = await transaction.query<OutcomeRow>({
        text: `WITH gone AS (
            DELETE FROM ${this.#schema}.inbox_dead_letter AS l USING ${PLACED_KEYS}
            WHERE ${sameKey('l', 'k')} AND k.place = ANY ($5::bigint[])
          )
          SELECT CASE WHEN k.place = ANY ($6::bigint[]) THEN 'done'
            WHEN i.state = 'done' THEN 'ended'
            WHEN l.id IS NOT NULL AND k.place <> ALL ($5::bigint[]) THEN 'busy'
            ELSE 'unknown' END AS outcome
          FROM ${PLACED_KEYS}
          LEFT JOIN ${this.#schema}.inbox AS i ON ${sameKey('i', 'k')}
          LEFT JOIN ${this.#schema}.inbox_dead_letter AS l ON ${sameKey('l', 'k')}
          ORDER BY k.place`,
        values: [...arrays(keys), places, discarded.map(({ place }) => place)],
      });
      return rows.map(({ outcome }) => outcome);
    });
  }
}

/** A name that the database refuses is that of no dead letter in it. */
function unknown(): DeadLetterOutcome {
  return 'unknown';
}

function sameKey(a: string, b: string): string {
  return ['tenant', 'group_name', 'source', 'id']
    .map((column) => `${a}.${column} = ${b}.${column}`)
    .join(' AND ');
}

function arrays(keys: readonly InboxKey[]): unknown[] {
  return [
    keys.map(({ tenant }) => tenant),
    keys.map(({ group }) => group),
    keys.map(({ source }) => source),
    keys.map(({ id }) => id),
  ];
}

function letterOf(row: LetterRow): InboxDeadLetter {
  const envelope = JSON.parse(row.envelope) as Omit<Message, 'payload'>;
  return {
    cursor: row.place,
    group: row.group_name,
    message: { ...envelope, payload: row.payload },
    attempts: row.attempts,
    reason: row.reason,
    error: row.error,
    diedAt: new Date(row.died_at),
    replaying: row.replaying,
    replays: row.replays,
  };
}
