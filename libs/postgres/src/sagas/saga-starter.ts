import { LockTimeoutError, placeOfKey, type NewSaga, type StartOutcome } from '@sagaz/core';
import {
  isDataError,
  isLockTimeout,
  isTransientError,
  LIMITS,
  type Queryable,
  type SchemaName,
  type Statement,
} from '../connection/index.js';
import type { Definitions } from './definitions.js';
import { KEY_WAIT_MS, singleStartForms, startForms, type StartForms } from './start-sql.js';
import { entriesText, hasOutputs, outputArrays } from './journal-rows.js';
import { messageArrays } from './transition-values.js';

interface InsertedRow {
  readonly place: number;
  readonly started: boolean;
}

interface TakenRow {
  readonly place: number;
  readonly id: string | null;
  readonly input_digest: string | null;
  readonly same_start: boolean;
  /** Whether the key is kept for a start that did not happen, since its id was taken by another one. */
  readonly stray: boolean;
}

/** Inserts sagas with their first entries and messages. */
export class SagaStarter {
  readonly #pool: Queryable;
  readonly #schema: SchemaName;
  readonly #definitions: Definitions;
  readonly #single: StartForms;
  readonly #alone: StartForms;
  readonly #within: StartForms;

  constructor(pool: Queryable, schema: SchemaName, definitions: Definitions) {
    this.#pool = pool;
    this.#schema = schema;
    this.#definitions = definitions;
    this.#single = singleStartForms(schema);
    this.#alone = startForms(schema, false);
    this.#within = startForms(schema, true);
  }

  /**
   * One statement, and a second one if a key was taken. It must be a second one, because a row that a
   * concurrent start committed while the first was waiting is not in the first one's snapshot.
   *
   * Outside of a caller's transaction, it does not wait for keys. If the statement is refused as a
   * whole, it is halved until the start at fault is found.
   */
  async start(
    sagas: readonly NewSaga[],
    transaction: Queryable | undefined,
  ): Promise<readonly StartOutcome[]> {
    if (transaction !== undefined) return this.#start(sagas, transaction);
    try {
      return await this.#start(sagas, undefined);
    } catch (error) {
      const data = isDataError(error);
      if (!data && !isTransientError(error)) throw error;
      if (sagas.length <= 1) return sagas.map(() => (data ? { kind: 'rejected', error } : BUSY));
      const middle = Math.ceil(sagas.length / 2);
      return [
        ...(await this.start(sagas.slice(0, middle), undefined)),
        ...(await this.start(sagas.slice(middle), undefined)),
      ];
    }
  }

  async #start(
    sagas: readonly NewSaga[],
    transaction: Queryable | undefined,
  ): Promise<readonly StartOutcome[]> {
    const outcomes: StartOutcome[] = sagas.map(() => BUSY);
    let left = [...sagas.keys()];
    // The loop repeats only if a saga that held the key was removed between the two statements.
    while (left.length > 0) {
      const asked = left.flatMap((at) => sagas[at] ?? []);
      const inserted = await this.#insert(asked, transaction);
      for (const [position, at] of left.entries()) {
        if (inserted.get(position) === true) outcomes[at] = { kind: 'started' };
      }
      const refused = left.filter((_, position) => inserted.get(position) === false);
      left = [];
      if (refused.length === 0) break;
      const taken = await this.#taken(
        refused.flatMap((at) => sagas[at] ?? []),
        transaction ?? this.#pool,
      );
      for (const [position, at] of refused.entries()) {
        const row = taken[position];
        if (row?.id == null || row.input_digest === null) left.push(at);
        else {
          const { id, input_digest: inputDigest, same_start: sameStart } = row;
          outcomes[at] = { kind: 'exists', id, inputDigest, sameStart };
        }
      }
    }
    return outcomes;
  }

  /**
   * Returns by position whether each start was inserted; nothing for starts whose key another
   * transaction has locked.
   */
  async #insert(
    sagas: readonly NewSaga[],
    transaction: Queryable | undefined,
  ): Promise<ReadonlyMap<number, boolean>> {
    const numbers = await this.#definitions.numbersOf(sagas, transaction);
    const statement = this.#insertOf(sagas, numbers, transaction !== undefined);
    try {
      // The statement waits for a key only in a caller's transaction.
      const { rows } = await (transaction ?? this.#pool).query<InsertedRow>({
        ...statement,
        ...(transaction === undefined ? {} : { limitMs: LIMITS.locked }),
      });
      return new Map(rows.map(({ place, started }) => [place - 1, started]));
    } catch (error) {
      if (transaction === undefined || !isLockTimeout(error)) throw error;
      const keys = sagas.flatMap(({ name, key }) => (key === null ? [] : `${name}: ${key}`));
      throw new LockTimeoutError(`key of a saga (${keys.slice(0, 3).join(', ')})`, KEY_WAIT_MS, {
        cause: error,
      });
    }
  }

  /** The statement that inserts these starts, in a caller's transaction or in one of its own. */
  #insertOf(sagas: readonly NewSaga[], definitions: readonly number[], within: boolean): Statement {
    const sent = sagas.map((saga) => saga.messages);
    const parts = {
      keys: sagas.some(({ key }) => key !== null),
      messages: sent.some((of) => of.length > 0),
      outputs: sagas.some(({ entries }) => hasOutputs(entries)),
    };
    const written = [
      ...(parts.outputs ? outputArrays(sagas.map(({ entries }) => entries)) : []),
      ...(parts.messages ? messageArrays(sent) : []),
    ];
    const [only] = sagas;
    if (only !== undefined && sagas.length === 1 && !within) {
      return this.#single(parts).with([
        ...COLUMN_VALUES.map((valueOf) => valueOf(only, definitions[0] ?? 0)),
        ...written,
      ]);
    }
    const columns = COLUMN_VALUES.map((valueOf) =>
      sagas.map((saga, at) => valueOf(saga, definitions[at] ?? 0)),
    );
    return (within ? this.#within : this.#alone)(parts).with([...columns, ...written]);
  }

  /**
   * Reads what the starts found taken. Two starts with one id and different keys both get their keys, if they
   * run at once, and only one of them its id: the key of the other one is given back.
   */
  async #taken(sagas: readonly NewSaga[], on: Queryable): Promise<readonly TakenRow[]> {
    const schema = this.#schema.quoted;
    const startedBy = (table: string): string => `SELECT FROM ${schema}.${table} s
            JOIN ${schema}.definition d ON d.number = s.definition
            WHERE s.id = t.id AND (s.tenant, d.name, s.key) IS DISTINCT FROM (t.tenant, t.name, t.key)`;
    const { rows } = await on.query<TakenRow>({
      text: `SELECT t.place::int AS place, coalesce(k.saga_id, j.saga_id) AS id,
          CASE WHEN k.saga_id = t.id THEN coalesce(j.input_digest, k.input_digest)
            ELSE coalesce(k.input_digest, j.input_digest) END AS input_digest,
          coalesce(k.saga_id, j.saga_id) = t.id AND j.transition_id IS NOT DISTINCT FROM t.transition_id AS same_start,
          CASE WHEN k.saga_id = t.id
            THEN EXISTS (${startedBy('saga')} UNION ALL ${startedBy('saga_ended')}) ELSE false END AS stray
        FROM unnest($1::uuid[], $2::text[], $3::text[], $4::text[], $5::uuid[]) WITH ORDINALITY
          AS t (id, tenant, name, key, transition_id, place)
        LEFT JOIN ${schema}.saga_key k ON k.tenant = t.tenant AND k.name = t.name AND k.key = t.key
        LEFT JOIN ${schema}.saga_journal j ON j.saga_id = t.id AND j.revision = 0
        ORDER BY t.place`,
      values: [
        sagas.map(({ id }) => id),
        sagas.map(({ tenant }) => tenant),
        sagas.map(({ name }) => name),
        sagas.map(({ key }) => key),
        sagas.map(({ transitionId }) => transitionId),
      ],
    });
    const stray = sagas.filter((_, at) => rows[at]?.stray === true);
    if (stray.length > 0) {
      await on.query({
        text: `DELETE FROM ${schema}.saga_key k
          USING unnest($1::uuid[], $2::text[], $3::text[], $4::text[]) AS t (id, tenant, name, key)
          WHERE k.tenant = t.tenant AND k.name = t.name AND k.key = t.key AND k.saga_id = t.id`,
        values: [
          stray.map(({ id }) => id),
          stray.map(({ tenant }) => tenant),
          stray.map(({ name }) => name),
          stray.map(({ key }) => key),
        ],
      });
    }
    return rows;
  }
}

/** The values $1 to $13 of each statement of `start-sql.ts`, in their order. */
const COLUMN_VALUES: readonly ((saga: NewSaga, definition: number) => unknown)[] = [
  ({ id }) => id,
  ({ tenant }) => tenant,
  ({ name }) => name,
  (_, definition) => definition,
  ({ key }) => key,
  ({ inputDigest }) => inputDigest,
  ({ status }) => status,
  ({ owner }) => owner,
  ({ wakeInMs }) => wakeInMs,
  ({ deadlineInMs }) => deadlineInMs,
  ({ transitionId }) => transitionId,
  keyLock,
  ({ entries }) => entriesText(entries),
];

const BUSY: StartOutcome = { kind: 'busy' };

/** The number under which an idempotency key is locked; two keys may share it, which costs a wait. */
function keyLock({ tenant, name, key }: NewSaga): number | null {
  return key === null ? null : placeOfKey(tenant, name, key).lock;
}
