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
  /** Idempotency keys. */
  readonly keys: boolean;
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
  const forms = new Map<string, Prepared>();
  return (parts) => {
    const name = `${String(parts.keys)} ${String(parts.messages)} ${String(parts.outputs)}`;
    let form = forms.get(name);
    if (form === undefined) forms.set(name, (form = new Prepared(sql(parts))));
    return form;
  };
}

/** The parts of a statement that insert what belongs to the started sagas, the row source `from`. */
function writes(schema: SchemaName, from: string, { messages, outputs }: StartParts): string {
  const large = outputs
    ? `, outputs AS (
    INSERT INTO ${schema.quoted}.saga_output (saga_id, revision, ordinal, data, on_demand)
    SELECT c.id, 0, e.ordinal, e.data, e.on_demand FROM ${outputSource(14)} JOIN ${from} c ON c.place = e.place
  )`
    : '';
  const sent = messages
    ? `, sent AS (
    ${outboxInsert(schema, outputs ? 18 : 14, `JOIN ${from} c ON c.place = m.owner`)}
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

const COLUMNS = 'id, tenant, definition, key, status, revision, owner, epoch, wake_at, deadline';
const JOURNAL = 'saga_id, revision, transition_id, entries, input_digest';
const KEY = 'tenant, name, key, saga_id, input_digest';

/**
 * SQL condition: whether no saga was started with the id. The primary key of the journal decides that, since
 * the row of a saga moves when it ends; this look keeps a key from being taken by a start whose id is not
 * free.
 */
function idIsFree(schema: SchemaName, id: string): string {
  return `(SELECT j.revision FROM ${schema.quoted}.saga_journal j WHERE j.saga_id = ${id} AND j.revision = 0) IS NULL`;
}

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
  const keyed = parts.keys
    ? `, keyed AS (
    INSERT INTO ${schema.quoted}.saga_key (${KEY})
    SELECT $2::text, $3::text, $5::text, $1::uuid, $6::text FROM free WHERE ${idIsFree(schema, '$1::uuid')}
    ON CONFLICT DO NOTHING RETURNING saga_id
  )`
    : '';
  return `WITH ${limits(GROUP_WAIT_MS)}, free AS MATERIALIZED (
    SELECT 1 AS place FROM limits
    WHERE $3::text IS NOT NULL AND ($12::int IS NULL OR pg_try_advisory_xact_lock(${String(KEYS)}, $12::int))
  )${keyed}, journal AS (
    INSERT INTO ${schema.quoted}.saga_journal (${JOURNAL})
    SELECT $1::uuid, 0, $11::uuid, $13::text, $6::text FROM ${parts.keys ? 'keyed' : 'free'}
    ON CONFLICT DO NOTHING RETURNING 1 AS place, saga_id AS id
  ), inserted AS (
    INSERT INTO ${schema.quoted}.saga (${COLUMNS})
    SELECT c.id, $2::text, $4::int, $5::text, $7::text, 0, $8::uuid,
      CASE WHEN $8::uuid IS NULL THEN 0 ELSE 1 END,
      CASE WHEN $8::uuid IS NULL THEN clock_timestamp() + $9::float8 * interval '1 millisecond' END,
      clock_timestamp() + $10::float8 * interval '1 millisecond'
    FROM journal c
  )${writes(schema, 'journal', parts)}
  SELECT place, EXISTS (SELECT FROM journal) AS started FROM free`;
}

/**
 * $1 id, $2 tenant, $3 name, $4 number of the definition, $5 key, $6 digest, $7 status, $8 owner, $9 wake in ms,
 * $10 deadline in ms, $11 transition id, $12 lock of the key, $13 entries; then, where there are any,
 * outputs: place, ordinal, data and whether it is read on demand; messages.
 *
 * Keys are inserted in one order, so that two transactions with the same keys lock them in that order.
 * Whose key is not taken gets its journal, if its id is free, and with that its row. A
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
  const keyed = parts.keys
    ? `, keyed AS (
    INSERT INTO ${schema.quoted}.saga_key (${KEY})
    SELECT t.tenant, t.name, t.key, t.id, t.input_digest FROM free JOIN t USING (place)
    WHERE t.key IS NOT NULL AND ${idIsFree(schema, 't.id')}
    ORDER BY t.key, t.name, t.tenant, t.place
    ON CONFLICT DO NOTHING RETURNING saga_id
  )`
    : '';
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
      WITH ORDINALITY AS t (id, tenant, name, definition, key, input_digest, status, owner, wake_ms, deadline_ms, transition_id, lock, entries, place)
  ), free AS MATERIALIZED (
    ${free}
  )${keyed}, journal AS (
    INSERT INTO ${schema.quoted}.saga_journal (${JOURNAL})
    SELECT t.id, 0, t.transition_id, t.entries, t.input_digest FROM free JOIN t USING (place)
    ${parts.keys ? 'WHERE t.key IS NULL OR t.id IN (SELECT saga_id FROM keyed)' : ''}
    ORDER BY t.id, t.place
    ON CONFLICT DO NOTHING RETURNING saga_id, transition_id
  ), placed AS MATERIALIZED (
    SELECT min(t.place)::int AS place, t.id FROM journal j
    JOIN t ON t.id = j.saga_id AND t.transition_id = j.transition_id GROUP BY t.id
  ), inserted AS (
    INSERT INTO ${schema.quoted}.saga (${COLUMNS})
    SELECT t.id, t.tenant, t.definition, t.key, t.status, 0, t.owner,
      CASE WHEN t.owner IS NULL THEN 0 ELSE 1 END,
      CASE WHEN t.owner IS NULL THEN clock_timestamp() + t.wake_ms * interval '1 millisecond' END,
      clock_timestamp() + t.deadline_ms * interval '1 millisecond'
    FROM placed c JOIN t ON t.place = c.place
  )${writes(schema, 'placed', parts)}${restored}
  SELECT f.place::int AS place, p.place IS NOT NULL AS started
  FROM ${last}free f LEFT JOIN placed p ON p.place = f.place`;
}
