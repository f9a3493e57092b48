import {
  checkKeys,
  hintSlots,
  noFaults,
  type DeadLetterFilter,
  type DeadLetterOutcome,
  type FaultPoints,
  type OutboxDeadLetter,
  type OutboxMessage,
  type OutboxStore,
  type Transaction,
  type WakeUps,
} from '@sagaz/core';
import type {
  PgTransaction,
  PgTransactions,
  Queryable,
  SagazPool,
  SchemaName,
} from '../connection/index.js';
import { PgSlotQueue, type MailInsert } from '../slots/index.js';
import { AppendSql } from './append.js';
import { DEFAULT_QUEUE } from './default-queue.js';
import { OutboxDeadLetters } from './dead-letters.js';
import { DeferrableConstraints } from './deferrable-constraints.js';
import { Promotion } from './promotion.js';

export interface PgOutboxStoreParts {
  readonly pool: SagazPool;
  readonly transactions: PgTransactions;
  readonly schema: SchemaName;
  readonly wakeUps: WakeUps;
  /** The connection for the leases of a relay. Default: the pool, which is enough where nothing relays. */
  readonly leases?: Queryable;
  readonly faults?: FaultPoints;
}

/**
 * SQL that writes mail to sagas about their commands that were given up, only for rows whose change
 * took effect.
 */
function failureMail(schema: SchemaName): MailInsert {
  return (first) => {
    const types = ['int[]', 'uuid[]', 'text[]', 'text[]', 'text[]'];
    const arrays = types.map((type, i) => `$${String(first + i)}::${type}`).join(', ');
    return `INSERT INTO ${schema.quoted}.saga_mail (saga_id, kind, dedupe_key, data)
      SELECT m.saga_id, m.kind, m.dedupe_key, m.data
      FROM unnest(${arrays}) AS m (place, saga_id, kind, dedupe_key, data)
      JOIN changed ON changed.place = m.place
      ORDER BY m.saga_id, m.dedupe_key
      ON CONFLICT (saga_id, dedupe_key) DO NOTHING`;
  };
}

/** The outbox: a queue of slots into which transactions write. */
export class PgOutboxStore extends PgSlotQueue implements OutboxStore {
  readonly #pool: SagazPool;
  readonly #transactions: PgTransactions;
  readonly #appendSql: AppendSql;
  readonly #deferrable: DeferrableConstraints;
  readonly #wakeUps: WakeUps;
  readonly #faults: FaultPoints;
  readonly #letters: OutboxDeadLetters;
  readonly #promotion: Promotion;

  constructor({ pool, transactions, schema, wakeUps, leases = pool, faults }: PgOutboxStoreParts) {
    const mailInsert = failureMail(schema);
    super(pool, { schema, ...DEFAULT_QUEUE }, { leases, mailInsert });
    this.#pool = pool;
    this.#transactions = transactions;
    this.#appendSql = new AppendSql(schema);
    this.#deferrable = new DeferrableConstraints(pool);
    this.#wakeUps = wakeUps;
    this.#faults = faults ?? noFaults;
    this.#letters = new OutboxDeadLetters(pool, this.names);
    this.#promotion = new Promotion(pool, transactions, this.names);
  }

  /** One statement, which is a transaction of its own if none is given. */
  async append(messages: readonly OutboxMessage[], transaction?: Transaction): Promise<void> {
    if (messages.length === 0) return;
    checkKeys(messages);
    await this.#faults.reach('outbox.before-append', messages[0]?.type);
    if (transaction === undefined) {
      await this.#pool.for('flush').query(this.#appendSql.statement(messages, false));
      await this.#faults.reach('outbox.after-append', messages[0]?.type);
      hintSlots(this.#wakeUps, 'outbox', messages);
      return;
    }
    const own = this.#transactions.own(transaction);
    await own.query(this.#appendSql.statement(messages, this.#deferrable.exist));
    await this.#appended(messages, own);
  }

  /** No round trip of its own, where the driver can send statements together. */
  async appendAtCommit(
    messages: readonly OutboxMessage[],
    transaction: Transaction,
  ): Promise<void> {
    if (messages.length === 0) return;
    checkKeys(messages);
    await this.#faults.reach('outbox.before-append', messages[0]?.type);
    const own = this.#transactions.own(transaction);
    await own.queryAtCommit(this.#appendSql.statement(messages, this.#deferrable.exist));
    await this.#appended(messages, own);
  }

  async #appended(messages: readonly OutboxMessage[], own: PgTransaction): Promise<void> {
    await this.#faults.reach('outbox.after-append', messages[0]?.type);
    own.afterCommit(() => {
      hintSlots(this.#wakeUps, 'outbox', messages);
    });
  }

  override promote(limit: number): Promise<number> {
    return this.#promotion.promote(limit);
  }

  listDeadLetters(filter: DeadLetterFilter): Promise<readonly OutboxDeadLetter[]> {
    return this.#letters.list(filter);
  }

  async replayDeadLetters(ids: readonly string[]): Promise<readonly DeadLetterOutcome[]> {
    const outcomes = await this.#letters.replay(ids);
    if (outcomes.includes('done')) this.#wakeUps.hint('outbox');
    return outcomes;
  }

  /** The messages behind a discarded one can be published now, so the relay is woken as well. */
  async discardDeadLetters(ids: readonly string[]): Promise<readonly DeadLetterOutcome[]> {
    const outcomes = await this.#letters.discard(ids);
    if (outcomes.includes('done')) this.#wakeUps.hint('outbox');
    return outcomes;
  }
}
