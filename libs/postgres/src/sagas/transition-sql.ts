import { Prepared, type SchemaName } from '../connection/index.js';
import { keyLockSource, outboxInsert, TAKE_KEY_LOCK, TRY_KEY_LOCK } from '../outbox/index.js';
import { FINAL } from './saga-rows.js';
import { BEGUN_VALUES, begunSagas, POSTED_VALUES, postedMail } from './transition-others.js';

/**
 * The parts that a statement has. Unneeded parts are left out, because they have a cost even if they
 * insert nothing.
 */
export interface TransitionParts {
  /** Whether its transitions end their sagas. */
  readonly ends: 'none' | 'some' | 'all';
  readonly messages: boolean;
  readonly mail: boolean;
  /** Whether a saga gets another definition or format. */
  readonly becomes: boolean;
  /** Mail for other sagas. */
  readonly posts: boolean;
  /** Sagas that begin. */
  readonly begins: boolean;
  /** Data of entries that is too large for the journal. */
  readonly outputs: boolean;
  /** Messages whose keys are not their saga's id: those keys are locked first. */
  readonly locks: boolean;
}

/**
 * How long one transition waits for the keys of its messages, in ms. Its lock request is queued, so
 * that it gets its turn.
 */
const KEY_WAIT_MS = 50;

const NO_PARTS: TransitionParts = {
  ends: 'none',
  messages: false,
  mail: false,
  becomes: false,
  posts: false,
  begins: false,
  outputs: false,
  locks: false,
};

/** `t`: the new values; `s`: the row of a saga that goes on. @param definition SQL; null: it stays */
const change = (definition: string | null): string => `
      ${definition === null ? '' : `definition = ${definition},`}
      revision = s.revision + 1,
      status = t.status,
      owner = CASE WHEN t.gives_back THEN NULL ELSE s.owner END,
      wake_at = CASE WHEN t.gives_back THEN clock_timestamp() + t.wake_ms * interval '1 millisecond' END,
      updated_at = clock_timestamp()`;

/** The rows of transitions, one of many (`t` has the new values, `l` the locked row) or a single one. */
interface Sources {
  /** The row sources that the changed row `s` is joined to. */
  readonly from: string;
  /** The condition under which the locked row is the expected one. */
  readonly fence: string;
  readonly place: string;
  readonly transition: string;
  /** Number of the first parameter after the entries. */
  readonly first: number;
}

/** Sets the limits of the last statements of a caller's transaction. @param first its first parameter */
function limitsFrom(first: number): string {
  return `limits AS MATERIALIZED (
    SELECT set_config('lock_timeout', $${String(first)}::int::text, true) AS lock_wait,
      set_config('idle_in_transaction_session_timeout', $${String(first + 1)}::int::text, true) AS silence
  )`;
}

/** Large data as the row source `e`. @param first number of the first parameter */
export function outputSource(first: number): string {
  const [places, ordinals, data, onDemand] = [0, 1, 2, 3].map((at) => `$${String(first + at)}`);
  return `unnest(${places}::int[], ${ordinals}::int[], ${data}::text[], ${onDemand}::bool[]) AS e (place, ordinal, data, on_demand)`;
}

/** The number of parameters of the locks of keys. */
const LOCK_VALUES = 4;

/** The positions of the transitions whose keys another transaction has locked. */
const KEYS_TRIED = `keys AS MATERIALIZED (
    SELECT k.place FROM ${keyLockSource(10)}
    WHERE NOT ${TRY_KEY_LOCK}
  ), `;

/**
 * The statements that write transitions. All have the same shape, and the order of its parts is what
 * makes them safe:
 *
 * 0. `keys` takes the places of messages in keys that are not their saga's id, before any row is locked
 *    and any number drawn, as publishers do. Many transitions wait for none: one whose key somebody
 *    else holds is left out.
 * 1. `locked` locks the rows in ascending order, so that overlapping writers never deadlock, and
 *    (except in a caller's own transaction) skips what is locked, so that one open transaction stalls
 *    one saga and not a whole flush.
 * 2. `changed` updates what goes on, and `gone` moves what ends into `saga_ended`, both only where the
 *    saga is still at the expected owner, epoch and revision. They find the rows by their place (ctid):
 *    they are locked and cannot move, and the plan is the same however stale the statistics. A row that
 *    moved after the statement's snapshot is not found, and reported busy.
 * 3. Journal, messages and mail are joined to `written`, the rows of both: nothing of a refused
 *    transition is written.
 *
 * It answers the places (from 1) of what was applied.
 */
export class TransitionSql {
  readonly #schema: SchemaName;
  readonly #cache = new Map<string, Prepared>();

  constructor(schema: SchemaName) {
    this.#schema = schema;
  }

  /**
   * Many transitions, as arrays: $1 ids, $2 owners, $3 epochs, $4 revisions, $5 statuses,
   * $6 give back, $7 wake in ms, $8 transition ids, $9 entries; then, where there are any, key locks;
   * definitions; outputs: place, ordinal, data and whether it is read on demand; mail: place and id; mail for
   * others; sagas that begin; messages.
   */
  many(parts: TransitionParts): Prepared {
    return this.#prepared('many', parts, () => {
      const { quoted } = this.#schema;
      const given = `unnest($1::uuid[], $2::uuid[], $3::int[], $4::int[], $5::text[], $6::bool[], $7::float8[], $8::uuid[], $9::text[])
      WITH ORDINALITY AS t (id, owner, epoch, revision, status, gives_back, wake_ms, transition_id, entries, place)`;
      const rows = this.#rows(parts, {
        from: 'locked l JOIN t ON t.id = l.id',
        fence: `l.owner = t.owner AND l.epoch = t.epoch AND l.revision = t.revision
      ${parts.locks ? 'AND NOT EXISTS (SELECT FROM keys WHERE keys.place = t.place)' : ''}`,
        place: 't.place::int',
        transition: 't.transition_id',
        first: 10,
      });
      return `WITH t AS MATERIALIZED (
    SELECT *${parts.ends === 'some' ? `, status = ANY (${FINAL}) AS ends` : ''} FROM ${given}
  ), ${parts.locks ? KEYS_TRIED : ''}locked AS MATERIALIZED (
    SELECT s.ctid AS at, s.id, s.owner, s.epoch, s.revision FROM ${quoted}.saga s
    WHERE s.id = ANY ($1::uuid[]) ORDER BY s.id FOR UPDATE SKIP LOCKED
  ), ${rows}${this.#writes(parts, 10)}
  SELECT place FROM written`;
    });
  }

  /**
   * One transition: $1 id, $2 owner, $3 epoch, $4 revision, $5 status, $6 give back, $7 wake in ms,
   * $8 transition id, the rest as in {@link many}.
   */
  one(parts: TransitionParts): Prepared {
    const limits = parts.locks
      ? `before AS MATERIALIZED (
    SELECT current_setting('lock_timeout') AS lock_timeout
  ), limits AS MATERIALIZED (
    SELECT set_config('lock_timeout', '${String(KEY_WAIT_MS)}', true) AS lock_wait FROM before
  ), `
      : '';
    return this.#prepared('one', parts, () => this.#single(parts, 9, limits, 'SKIP LOCKED'));
  }

  /**
   * One transition as the last statement of a caller's transaction: waits for the row at most $9 ms,
   * and lets the server end the transaction when its client is silent for $10 ms: from here on it
   * holds the row of the saga, and a frozen client must not keep an adopter waiting. The keys of its
   * messages were locked by {@link keysOfLast}.
   */
  last(parts: Omit<TransitionParts, 'locks'>): Prepared {
    const all = { ...parts, locks: false };
    return this.#prepared('last', all, () => this.#single(all, 11, `${limitsFrom(9)}, `, ''));
  }

  /**
   * Locks the keys of the messages of {@link last}: waits at most $1 ms for each, and lets the server
   * end the transaction when its client is silent for $2 ms. The locks follow, as arrays.
   */
  keysOfLast(): Prepared {
    return this.#prepared(
      'keys',
      NO_PARTS,
      () => `WITH ${limitsFrom(1)}
  SELECT ${TAKE_KEY_LOCK} AS taken FROM limits CROSS JOIN ${keyLockSource(3)}`,
    );
  }

  #single(parts: TransitionParts, first: number, limits: string, wait: string): string {
    const schema = this.#schema.quoted;
    const source = limits === '' ? `${schema}.saga s` : `limits CROSS JOIN ${schema}.saga s`;
    const keys = parts.locks
      ? `keys AS MATERIALIZED (
    SELECT ${TAKE_KEY_LOCK} AS taken FROM limits CROSS JOIN ${keyLockSource(first + 1)}
  ), `
      : '';
    // The keys are locked once, before the first row is read; the bound applies to the keys only.
    const after = parts.locks
      ? `AND (SELECT set_config('lock_timeout', lock_timeout, true) FROM before
        WHERE (SELECT count(taken) FROM keys) > 0) IS NOT NULL`
      : '';
    return `WITH ${limits}${keys}locked AS MATERIALIZED (
    SELECT s.ctid AS at, s.owner, s.epoch, s.revision FROM ${source} WHERE s.id = $1::uuid ${after}
    FOR UPDATE OF s ${wait}
  ), t AS (
    SELECT $5::text AS status, $6::bool AS gives_back, $7::float8 AS wake_ms, $${String(first)}::text AS entries
  ), ${this.#rows(parts, {
    from: 'locked l CROSS JOIN t',
    fence: 'l.owner = $2::uuid AND l.epoch = $3::int AND l.revision = $4::int',
    place: '1',
    transition: '$8::uuid',
    first: first + 1,
  })}${this.#writes(parts, first + 1)}
  SELECT place FROM written`;
  }

  /** The parts that write the rows of sagas, and name what was written `written`. */
  #rows(
    { ends, becomes, locks }: TransitionParts,
    { from, fence, place, transition, first }: Sources,
  ): string {
    const schema = this.#schema.quoted;
    const numbers = `$${String(first + (locks ? LOCK_VALUES : 0))}::int[]`;
    const definition = becomes ? `coalesce((${numbers})[${place}], s.definition)` : null;
    const returned = (revision: string): string =>
      `${place} AS place, s.id, ${revision} AS revision, ${transition} AS transition_id, t.entries`;
    const going = (name: string, only: string): string => `${name} AS (
    UPDATE ${schema}.saga s SET ${change(definition)}
    FROM ${from}
    WHERE s.ctid = l.at AND ${fence} ${only}
    RETURNING ${returned('s.revision')}
  )`;
    const ending = (name: string, only: string): string => `${name} AS (
    DELETE FROM ${schema}.saga s USING ${from}
    WHERE s.ctid = l.at AND ${fence} ${only}
    RETURNING ${returned('s.revision + 1')}, t.status, ${definition ?? 's.definition'} AS definition, s.tenant, s.key, s.epoch, s.deadline, s.created_at
  ), ended AS (
    INSERT INTO ${schema}.saga_ended (id, definition, tenant, key, status, revision, epoch, deadline, created_at)
    SELECT id, definition, tenant, key, status, revision, epoch, deadline, created_at FROM ${name}
  )`;
    switch (ends) {
      case 'none':
        return going('written', '');
      case 'all':
        return ending('written', '');
      case 'some':
        return `${going('changed', 'AND NOT t.ends')}, ${ending('gone', 'AND t.ends')}, written AS (
    SELECT place, id, revision, transition_id, entries FROM changed
    UNION ALL SELECT place, id, revision, transition_id, entries FROM gone
  )`;
    }
  }

  /** @param first number of the first parameter after the entries */
  #writes(parts: TransitionParts, first: number): string {
    const schema = this.#schema.quoted;
    let next = first + (parts.locks ? LOCK_VALUES : 0) + (parts.becomes ? 1 : 0);
    let sql = `, journal AS (
    INSERT INTO ${schema}.saga_journal (saga_id, revision, transition_id, entries)
    SELECT c.id, c.revision, c.transition_id, c.entries FROM written c
  )`;
    if (parts.outputs) {
      sql += `, outputs AS (
    INSERT INTO ${schema}.saga_output (saga_id, revision, ordinal, data, on_demand)
    SELECT c.id, c.revision, e.ordinal, e.data, e.on_demand
    FROM ${outputSource(next)} JOIN written c ON c.place = e.place
  )`;
      next += 4;
    }
    if (parts.mail) {
      sql += `, mail AS (
    DELETE FROM ${schema}.saga_mail m
    WHERE m.saga_id = ANY (ARRAY(SELECT c.id FROM written c WHERE c.place = ANY ($${String(next)}::int[])))
      AND m.id = ANY ($${String(next + 1)}::bigint[])
  )`;
      next += 2;
    }
    if (parts.posts) {
      sql += `, ${postedMail(this.#schema, next)}`;
      next += POSTED_VALUES;
    }
    if (parts.begins) {
      sql += `, ${begunSagas(this.#schema, next)}`;
      next += BEGUN_VALUES;
    }
    if (parts.messages) {
      sql += `, sent AS (
    ${outboxInsert(this.#schema, next, 'JOIN written c ON c.place = m.owner')}
  )`;
    }
    return sql;
  }

  #prepared(form: string, parts: TransitionParts, text: () => string): Prepared {
    const { ends, ...others } = parts;
    const present = Object.entries(others).flatMap(([part, there]) => (there ? [part] : []));
    const name = [form, ends, ...present].join('+');
    let prepared = this.#cache.get(name);
    if (prepared === undefined) {
      prepared = new Prepared(text());
      this.#cache.set(name, prepared);
    }
    return prepared;
  }
}
