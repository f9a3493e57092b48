import {
  LockTimeoutError,
  type ApplyOutcome,
  type SagaTransition,
  type SettledOutcome,
  type TransitionOutcome,
} from '@sagaz/core';
import {
  apart,
  isDataError,
  isForgottenStatement,
  isLockTimeout,
  isTransientError,
  limited,
  LIMITS,
  type PgTransaction,
  type PgTransactions,
  type Queryable,
  type SagazPool,
  type SchemaName,
} from '../connection/index.js';
import { keyLockValues, KEYS_LOCKED_ONE_BY_ONE } from '../outbox/index.js';
import type { Definitions } from './definitions.js';
import { namesDefinitions, numbersOf, type DefinitionNumbers } from './transition-others.js';
import { TransitionSql } from './transition-sql.js';
import { bytesOf, locksOf, manyValues, oneValues, partsOf } from './transition-values.js';

/**
 * How long the last statements of a caller's transaction wait for the keys of messages, and for the
 * saga's row, in ms; the transaction holds the caller's row locks meanwhile.
 */
const LOCK_WAIT_MS = 1_000;
/**
 * How long a transaction may send nothing once it holds such locks, in ms; then the server ends it.
 */
const SILENCE_MS = 5_000;
/**
 * How long the look-up of a lost transition waits for a statement whose client is gone, in ms. It is
 * short, because the look-up uses a connection: if the row stays locked, others are looked up first,
 * and then this one again.
 */
const SETTLE_WAIT_MS = 500;
const MAX_BYTES = 8 * 1024 * 1024;
/**
 * The most locks of keys that one statement takes, since all transactions share the server's lock
 * table.
 */
const MAX_LOCKS = 2 * KEYS_LOCKED_ONE_BY_ONE;

/** Commits transitions, and finds out the outcome of those that were not applied or had no answer. */
export class TransitionWriter {
  readonly #pool: Queryable;
  readonly #transactions: PgTransactions;
  readonly #schema: SchemaName;
  readonly #definitions: Definitions;
  readonly #sql: TransitionSql;

  constructor(
    pool: SagazPool,
    transactions: PgTransactions,
    schema: SchemaName,
    definitions: Definitions,
  ) {
    this.#pool = pool.for('flush');
    this.#transactions = transactions;
    this.#schema = schema;
    this.#definitions = definitions;
    this.#sql = new TransitionSql(schema);
  }

  /** One statement for all transitions, and a second one to learn why some were not applied. */
  async flush(transitions: readonly SagaTransition[]): Promise<readonly TransitionOutcome[]> {
    const outcomes: TransitionOutcome[] = [];
    // A saga that is twice in one statement would be changed once and acknowledged twice.
    const once = onceEach(transitions);
    for (const batch of batches(once)) outcomes.push(...(await this.#write(batch)));
    if (once.length === transitions.length) return outcomes;
    let next = 0;
    return transitions.map((transition) => {
      if (once[next] !== transition) return { kind: 'busy' };
      next += 1;
      return outcomes[next - 1] ?? { kind: 'busy' };
    });
  }

  /**
   * One statement, the last before COMMIT, and a second one if it was not applied. Where messages have
   * keys of their own, a statement before it locks these, because a lock timeout does not say which lock
   * it waited for: the step chose the keys, and not who locks its saga's row.
   */
  async apply(transition: SagaTransition, transaction: PgTransaction): Promise<ApplyOutcome> {
    const limits = [LOCK_WAIT_MS, SILENCE_MS];
    const numbers = await this.#numbers([transition], transaction);
    const locks = locksOf(transition, 1);
    if (locks.length > 0) {
      try {
        const values = [...limits, ...keyLockValues(locks)];
        await transaction.query(this.#sql.keysOfLast().with(values));
      } catch (error) {
        if (isLockTimeout(error)) return { kind: 'key_busy' };
        if (isForgottenStatement(error)) return { kind: 'busy' };
        throw error;
      }
    }
    const parts = { ...partsOf([transition]), locks: false };
    const values = oneValues(transition, parts, numbers, limits);
    try {
      const { rows } = await transaction.query(this.#sql.last(parts).with(values));
      if (rows.length > 0) return { kind: 'applied' };
    } catch (error) {
      if (isLockTimeout(error) || isForgottenStatement(error)) return { kind: 'busy' };
      if (isDataError(error)) return { kind: 'rejected', error };
      throw error;
    }
    const [outcome = { kind: 'missing' as const }] = await this.#explain([transition], transaction);
    return outcome.kind === 'not_applied' ? { kind: 'busy' } : outcome;
  }

  /**
   * Finds out whether a transition was applied. It locks the row first, and so waits for a statement
   * that is still running on the server although its client is gone. Only then it looks for the
   * transition, in a new statement with a new snapshot.
   */
  async settle(transition: SagaTransition): Promise<SettledOutcome> {
    try {
      return await this.#transactions.run(async (open) => {
        const transaction = limited(open, LIMITS.locked);
        await transaction.query({ text: `SET LOCAL lock_timeout = ${String(SETTLE_WAIT_MS)}` });
        await transaction.query({
          text: `SELECT FROM ${this.#schema.quoted}.saga WHERE id = $1 FOR UPDATE`,
          values: [transition.sagaId],
        });
        if (await this.#journaled(transition, transaction)) return { kind: 'applied' };
        const [outcome = { kind: 'missing' as const }] = await this.#explain(
          [transition],
          transaction,
        );
        return outcome;
      });
    } catch (error) {
      if (!isLockTimeout(error)) throw error;
      throw new LockTimeoutError(`saga ${transition.sagaId}`, SETTLE_WAIT_MS, { cause: error });
    }
  }

  /** The numbers of the definitions that transitions name; null: they name none, as nearly all. */
  async #numbers(
    transitions: readonly SagaTransition[],
    on?: Queryable,
  ): Promise<DefinitionNumbers | null> {
    if (!transitions.some(namesDefinitions)) return null;
    return numbersOf(this.#definitions, transitions, on ?? this.#pool);
  }

  #write(transitions: readonly SagaTransition[]): Promise<readonly TransitionOutcome[]> {
    return apart<SagaTransition, TransitionOutcome>(
      transitions,
      (part) => this.#writeTogether(part),
      (_, error) => ({ kind: 'rejected', error }),
    );
  }

  async #writeTogether(
    transitions: readonly SagaTransition[],
  ): Promise<readonly TransitionOutcome[]> {
    const [first] = transitions;
    if (first === undefined) return [];
    const parts = partsOf(transitions);
    const numbers = await this.#numbers(transitions);
    const statement =
      transitions.length === 1
        ? this.#sql.one(parts).with(oneValues(first, parts, numbers))
        : this.#sql.many(parts).with(manyValues(transitions, parts, numbers));
    let applied: Set<number>;
    try {
      const { rows } = await this.#pool.query<{ place: number }>(statement);
      if (rows.length === transitions.length) return transitions.map(() => ({ kind: 'applied' }));
      applied = new Set(rows.map(({ place }) => place - 1));
    } catch (error) {
      if (isTransientError(error)) return transitions.map(() => ({ kind: 'busy' }));
      throw error;
    }
    const rest = transitions.filter((_, at) => !applied.has(at));
    const reasons = await this.#explain(rest, this.#pool);
    let next = 0;
    return transitions.map((_, at): TransitionOutcome => {
      if (applied.has(at)) return { kind: 'applied' };
      const reason = reasons[next] ?? { kind: 'missing' };
      next += 1;
      return reason.kind === 'not_applied' ? { kind: 'busy' } : reason;
    });
  }

  /**
   * Finds out why transitions were not applied, by one look at both lives of their sagas: one that ends
   * between two looks would be in neither. A repeated transition is never `applied` here, because with
   * that answer a caller's transaction would commit its other writes twice.
   */
  async #explain(
    transitions: readonly SagaTransition[],
    on: Queryable,
  ): Promise<readonly SettledOutcome[]> {
    const { rows } = await on.query<{
      live: boolean;
      owner: string | null;
      /** Null: there is no such saga. */
      epoch: number | null;
      revision: number;
    }>({
      text: `SELECT s.id IS NOT NULL AS live, s.owner, coalesce(s.epoch, e.epoch) AS epoch,
          coalesce(s.revision, e.revision) AS revision
        FROM unnest($1::uuid[]) WITH ORDINALITY AS t (id, place)
        LEFT JOIN ${this.#schema.quoted}.saga s ON s.id = t.id
        LEFT JOIN ${this.#schema.quoted}.saga_ended e ON e.id = t.id
        ORDER BY t.place`,
      values: [transitions.map(({ sagaId }) => sagaId)],
    });
    return rows.map((row, at): SettledOutcome => {
      const transition = transitions[at];
      if (row.epoch === null || transition === undefined) return { kind: 'missing' };
      // A saga that has ended has no owner.
      if (!row.live || row.owner !== transition.owner || row.epoch !== transition.epoch) {
        return { kind: 'not_owner', owner: row.owner, epoch: row.epoch };
      }
      if (row.revision !== transition.revision) return { kind: 'conflict', revision: row.revision };
      return { kind: 'not_applied' };
    });
  }

  /** Whether the journal holds the transition; the saga may have moved on since. */
  async #journaled({ id, sagaId, revision }: SagaTransition, on: Queryable): Promise<boolean> {
    const { rowCount } = await on.query({
      text: `SELECT FROM ${this.#schema.quoted}.saga_journal
        WHERE saga_id = $1 AND revision = $2 AND transition_id = $3 LIMIT 1`,
      values: [sagaId, revision + 1, id],
    });
    return rowCount === 1;
  }
}

function onceEach(transitions: readonly SagaTransition[]): readonly SagaTransition[] {
  const seen = new Set(transitions.map(({ sagaId }) => sagaId));
  if (seen.size === transitions.length) return transitions;
  return transitions.filter(({ sagaId }) => seen.delete(sagaId));
}

/** Divides a flush into batches whose statements are not too large to send and to keep in memory. */
function* batches(transitions: readonly SagaTransition[]): Generator<readonly SagaTransition[]> {
  let from = 0;
  let bytes = 0;
  let locks = 0;
  for (const [at, transition] of transitions.entries()) {
    const more = bytesOf(transition);
    const moreLocks = locksOf(transition, 0).length;
    if (at > from && (bytes + more > MAX_BYTES || locks + moreLocks > MAX_LOCKS)) {
      yield transitions.slice(from, at);
      from = at;
      bytes = 0;
      locks = 0;
    }
    bytes += more;
    locks += moreLocks;
  }
  if (from < transitions.length) yield from === 0 ? transitions : transitions.slice(from);
}
