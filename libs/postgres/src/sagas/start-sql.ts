import { Prepared, type SchemaName } from '../connection/index.js';
import { outboxInsert } from '../outbox/index.js';
import { outputSource } from './transition-sql.js';

/**
 * How long a start in a caller's transaction waits for another transaction that holds the same key, in
 * ms.
 */
export const KEY_WAIT_MS = 10_000;
/**
 * How long a group waits for a key that is held without a lock, in ms: if two transactions start the
 * same id at once, or a transaction starts more sagas than it locks keys.
 */
const GROUP_WAIT_MS = 50;

/** The parts that a statement has; unneeded ones have a cost even if they insert nothing. */
export interface StartParts {
  readonly messages: boolean;
  /** Data of entries that is too large for the journal. */
  readonly outputs: boolean;
}

/** The statement that starts sagas, with these parts. */
export type StartForms = (parts: StartParts) => Prepared;

/**
 * The statements for many starts, whose values are arrays.
 *
 * @param within whether the statements run in a caller's transaction
 */
export function startForms(schema: SchemaName, within: boolean): StartForms {
  return prepared((parts) => insertSql(schema, within, parts));
}

/**
 * The statements for one start outside of a caller's transaction, the usual case of a process that is
 * not busy. They take the columns of the saga as plain values, which costs the server less than arrays
 * and their joins.
 */
export function singleStartForms(schema: SchemaName): StartForms {
  return prepared((parts) => insertOneSql(schema, parts));
}

function prepared(sql: (parts: StartParts) => string): StartForms {
  const form = (messages: boolean) => ({
    inline: new Prepared(sql({ messages, outputs: false })),
    large: new Prepared(sql({ messages, outputs: true })),
  });
  const [plain, sending] = [form(false), form(true)];
  return ({ messages, outputs }) => (messages ? sending : plain)[outputs ? 'large' : 'inline'];
}

/** The parts of a statement that insert what belongs to the started sagas, the row source `from`. */
function writes(schema: SchemaName, from: string, { messages, outputs }: StartParts): string {
  const large = outputs
    ? `, outputs AS (
    INSERT INTO ${schema.quoted}.saga_output (saga_id, revision, ordinal, data)
    SELECT c.id, 0, e.ordinal, e.data FROM ${outputSource(14)} JOIN ${from} c ON c.place = e.place
  )`
    : '';
  const sent = messages
    ? `, sent AS (
    ${outboxInsert(schema, outputs ? 17 : 14, `JOIN ${from} c ON c.place = m.owner`)}
  )`
    : '';
  return large + sent;
}

/** The lock space of idempotency keys; those of the outbox and the inbox are other numbers. */
const KEYS = 1396786502;

/**
 * The most keys that a caller's transaction locks, because PostgreSQL's lock table has a fixed size and
 * is shared by all. A start that meets one of the further keys waits until its `lock_timeout`.
 */
const KEYS_LOCKED = 64;

/** SQL for the number of keys that the transaction has locked so far. */
const LOCKED = "coalesce(nullif(current_setting('sagaz.keys_locked', true), ''), '0')::int";

const COLUMNS =
  'id, tenant, name, version, key, input_digest, status, revision, owner, epoch, wake_at, deadline';

/** SQL that limits how long the statement waits for a lock, as a part named `limits`. */
function limits(waitMs: number, from = ''): string {
  return `limits AS MATERIALIZED (
    SELECT set_config('lock_timeout', '${String(waitMs)}', true) AS lock_wait ${from}
  )`;
}

/**
 * One start; its parameters are those of {@link insertSql}. The transaction is the statement's own, and so
 * the limit of its waits ends with it.
 */
function insertOneSql(schema: SchemaName, parts: StartParts): string {
  return `WITH ${limits(GROUP_WAIT_MS)}, free AS MATERIALIZED (
    SELECT 1 AS place FROM limits
    WHERE $12::int IS NULL OR pg_try_advisory_xact_lock(${String(KEYS)}, $12::int)
  ), inserted AS (
    INSERT INTO ${schema.quoted}.saga (${COLUMNS})
    SELECT $1::uuid, $2::text, $3::text, $4::int, $5::text, $6::text, $7::text, 0, $8::uuid,
      CASE WHEN $8::uuid IS NULL THEN 0 ELSE 1 END,
      CASE WHEN $8::uuid IS NULL THEN clock_timestamp() + $9::float8 * interval '1 millisecond' END,
      clock_timestamp() + $10::float8 * interval '1 millisecond'
    FROM free
    ON CONFLICT DO NOTHING
    RETURNING 1 AS place, id
  ), journal AS (
    INSERT INTO ${schema.quoted}.saga_journal (saga_id, revision, transition_id, entries)
    SELECT c.id, 0, $11::uuid, $13::text FROM inserted c
  )${writes(schema, 'inserted', parts)}
  SELECT place, EXISTS (SELECT FROM inserted) AS started FROM free`;
}

/**
 * $1 id, $2 tenant, $3 name, $4 version, $5 key, $6 digest, $7 status, $8 owner, $9 wake in ms,
 * $10 deadline in ms, $11 transition id, $12 lock of the key, $13 entries; then, where there are any,
 * outputs: place, ordinal and data; messages.
 *
 * Rows are inserted by key, so that two transactions with the same keys lock them in one order. A
 * transaction that inserts a key holds its lock until it ends. Outside of a caller's transaction, a key
 * whose lock is taken is left out, since its insert would wait. The caller's own lock_timeout is as
 * before when the statement has ended.
 */
function insertSql(schema: SchemaName, within: boolean, parts: StartParts): string {
  const free = within
    ? `SELECT t.place, CASE WHEN t.lock IS NOT NULL THEN
        CASE WHEN ${LOCKED} < ${String(KEYS_LOCKED)} THEN
          CASE WHEN pg_advisory_xact_lock(${String(KEYS)}, t.lock) IS NOT NULL
            THEN set_config('sagaz.keys_locked', (${LOCKED} + 1)::text, true)
      END END END AS counted
    FROM limits CROSS JOIN (SELECT * FROM t ORDER BY t.lock) AS t`
    : `SELECT t.place FROM limits CROSS JOIN t
    WHERE t.lock IS NULL OR pg_try_advisory_xact_lock(${String(KEYS)}, t.lock)`;
  const first = within
    ? `before AS MATERIALIZED (
    SELECT current_setting('lock_timeout') AS lock_timeout
  ), ${limits(KEY_WAIT_MS, 'FROM before')}`
    : limits(GROUP_WAIT_MS);
  const [restored, last] = within
    ? [
        `, ended AS MATERIALIZED (
    SELECT set_config('lock_timeout', before.lock_timeout, true) AS restored
    FROM before CROSS JOIN (SELECT count(*) FROM placed) AS all_placed
  )`,
        'ended CROSS JOIN ',
      ]
    : ['', ''];
  return `WITH ${first}, t AS MATERIALIZED (
    SELECT * FROM unnest($1::uuid[], $2::text[], $3::text[], $4::int[], $5::text[], $6::text[], $7::text[], $8::uuid[], $9::float8[], $10::float8[], $11::uuid[], $12::int[], $13::text[])
      WITH ORDINALITY AS t (id, tenant, name, version, key, input_digest, status, owner, wake_ms, deadline_ms, transition_id, lock, entries, place)
  ), free AS MATERIALIZED (
    ${free}
  ), inserted AS (
    INSERT INTO ${schema.quoted}.saga (${COLUMNS})
    SELECT t.id, t.tenant, t.name, t.version, t.key, t.input_digest, t.status, 0, t.owner,
      CASE WHEN t.owner IS NULL THEN 0 ELSE 1 END,
      CASE WHEN t.owner IS NULL THEN clock_timestamp() + t.wake_ms * interval '1 millisecond' END,
      clock_timestamp() + t.deadline_ms * interval '1 millisecond'
    FROM free JOIN t USING (place)
    ORDER BY t.tenant, t.name, t.key, t.id
    ON CONFLICT DO NOTHING
    RETURNING id
  ), placed AS MATERIALIZED (
    SELECT min(t.place)::int AS place, t.id FROM inserted JOIN t USING (id) GROUP BY t.id
  ), journal AS (
    INSERT INTO ${schema.quoted}.saga_journal (saga_id, revision, transition_id, entries)
    SELECT c.id, 0, t.transition_id, t.entries FROM placed c JOIN t ON t.place = c.place
  )${writes(schema, 'placed', parts)}${restored}
  SELECT f.place::int AS place, p.place IS NOT NULL AS started
  FROM ${last}free f LEFT JOIN placed p ON p.place = f.place`;
}
