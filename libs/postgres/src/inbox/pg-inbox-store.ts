import type {
  Applied,
  DeadLetterFilter,
  DeadLetterOutcome,
  InboxAttempts,
  InboxDeadLetter,
  InboxDeath,
  InboxKey,
  InboxStore,
  KeptReply,
  ParticipantState,
  Transaction,
} from '@sagaz/core';
import {
  epochMs,
  type PgTransactions,
  type SagazPool,
  type SchemaName,
} from '../connection/index.js';
import { InboxClaims, noteAttempt, readAttempts } from './inbox-claims.js';
import { InboxDeadLetters } from './inbox-dead-letters.js';
import { prune } from './inbox-pruning.js';
import { Participants } from './participants.js';

export interface PgInboxStoreParts {
  readonly pool: SagazPool;
  readonly transactions: PgTransactions;
  readonly schema: SchemaName;
}

/** Inboxes in PostgreSQL, beside the data their handlers change. */
export class PgInboxStore implements InboxStore {
  readonly #pool: SagazPool;
  readonly #transactions: PgTransactions;
  readonly #schema: SchemaName;
  readonly #claims: InboxClaims;
  readonly #participants: Participants;
  readonly #letters: InboxDeadLetters;

  constructor({ pool, transactions, schema }: PgInboxStoreParts) {
    this.#pool = pool;
    this.#transactions = transactions;
    this.#schema = schema;
    this.#claims = new InboxClaims(schema);
    this.#participants = new Participants(schema);
    this.#letters = new InboxDeadLetters(pool, transactions, schema);
  }

  claim(
    key: InboxKey,
    transaction: Transaction,
    waitMs: number,
    idleMs?: number,
  ): Promise<'new' | 'done' | 'dead'> {
    return this.#claims.end(this.#transactions.own(transaction), key, 'done', waitMs, idleMs);
  }

  beginCommand(
    tenant: string,
    idempotencyKey: string,
    keepMs: number,
    transaction: Transaction,
    waitMs: number,
  ): Promise<ParticipantState> {
    const own = this.#transactions.own(transaction);
    return this.#participants.begin(own, { tenant, idempotencyKey, keepMs, waitMs });
  }

  lookAtParticipant(
    tenant: string,
    idempotencyKey: string,
    transaction: Transaction,
  ): Promise<ParticipantState> {
    const own = this.#transactions.own(transaction);
    return this.#participants.look(own, tenant, idempotencyKey);
  }

  keepReply(
    tenant: string,
    idempotencyKey: string,
    reply: KeptReply,
    transaction: Transaction,
  ): Promise<void> {
    const own = this.#transactions.own(transaction);
    return this.#participants.keepReply(own, { tenant, idempotencyKey }, reply);
  }

  markUndone(
    tenant: string,
    idempotencyKey: string,
    keepMs: number,
    transaction: Transaction,
    waitMs: number,
  ): Promise<Applied> {
    const own = this.#transactions.own(transaction);
    return this.#participants.undo(own, { tenant, idempotencyKey, keepMs, waitMs });
  }

  readAttempts(key: InboxKey): Promise<InboxAttempts> {
    return readAttempts(this.#pool.for('inbox'), this.#schema, key);
  }

  noteStart(key: InboxKey, alone: boolean): Promise<InboxAttempts> {
    const note = alone ? 'started_alone' : 'started';
    return noteAttempt(this.#pool.for('inbox'), this.#schema, key, note);
  }

  noteCompany(key: InboxKey): Promise<InboxAttempts> {
    return noteAttempt(this.#pool.for('inbox'), this.#schema, key, 'in_company');
  }

  takeBackStart(key: InboxKey, alone: boolean): Promise<InboxAttempts> {
    const note = alone ? 'alone_taken_back' : 'start_taken_back';
    return noteAttempt(this.#pool.for('inbox'), this.#schema, key, note);
  }

  noteEnd(key: InboxKey, end: 'failed' | 'timed_out' | 'uncounted'): Promise<InboxAttempts> {
    return noteAttempt(this.#pool.for('inbox'), this.#schema, key, end);
  }

  async bury(
    key: InboxKey,
    letter: InboxDeath,
    transaction: Transaction,
    waitMs: number,
  ): Promise<boolean> {
    const own = this.#transactions.own(transaction);
    if ((await this.#claims.end(own, key, 'dead', waitMs)) !== 'new') return false;
    await this.#letters.put(own, key, letter);
    return true;
  }

  listDeadLetters(filter: DeadLetterFilter): Promise<readonly InboxDeadLetter[]> {
    return this.#letters.list(filter);
  }

  requestReplay(keys: readonly InboxKey[]): Promise<readonly DeadLetterOutcome[]> {
    return this.#letters.requestReplay(keys);
  }

  takeReplays(
    groups: readonly string[],
    limit: number,
    leaseMs: number,
  ): Promise<readonly InboxDeadLetter[]> {
    return this.#letters.takeReplays(groups, limit, leaseMs);
  }

  postponeReplay(key: InboxKey, delayMs: number): Promise<void> {
    return this.#letters.postponeReplay(key, delayMs);
  }

  endReplay(key: InboxKey, handledAs?: InboxKey): Promise<void> {
    return this.#letters.endReplay(key, handledAs);
  }

  discardDeadLetters(keys: readonly InboxKey[]): Promise<readonly DeadLetterOutcome[]> {
    return this.#letters.discard(keys);
  }

  countDeadLetters(): Promise<number> {
    return this.#letters.count();
  }

  prune(doneMs: number, limit: number): Promise<number> {
    return prune(this.#pool, this.#schema, doneMs, limit);
  }

  async msUntil(instant: string): Promise<number> {
    // The date is parsed here, because the database parses dates depending on settings of the session.
    const at = Date.parse(instant);
    if (Number.isNaN(at)) throw new RangeError(`"${instant}" is no instant.`);
    const { rows } = await this.#pool.for('work').query<{ ms: number }>({
      text: `SELECT ${epochMs('clock_timestamp()')} AS ms`,
    });
    const [row] = rows;
    if (row === undefined) throw new Error('The clock of the database returned no row.');
    return at - row.ms;
  }
}
