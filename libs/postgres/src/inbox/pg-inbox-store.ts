import type {
  Applied,
  ClaimOptions,
  ClaimState,
  DeadLetterFilter,
  DeadLetterOutcome,
  InboxAttempts,
  InboxDeadLetter,
  InboxDeath,
  InboxKey,
  InboxLine,
  InboxStore,
  KeptReply,
  LandedRow,
  LandedSize,
  LandingBacklog,
  LandingMessage,
  Message,
  ParticipantState,
  Retirement,
  SlotQueueStore,
  Transaction,
  WakeUps,
} from '@sagaz/core';
import {
  epochMs,
  type PgTransactions,
  type Queryable,
  type SagazPool,
  type SchemaName,
} from '../connection/index.js';
import { noteAttempt, readAttempts } from './attempt-notes.js';
import { InboxClaims } from './inbox-claims.js';
import { InboxDeadLetters } from './inbox-dead-letters.js';
import { prune } from './inbox-pruning.js';
import { PgLandingGroups } from './landing-groups.js';
import { Landings } from './landings.js';
import { Participants } from './participants.js';

export interface PgInboxStoreParts {
  readonly pool: SagazPool;
  readonly transactions: PgTransactions;
  readonly schema: SchemaName;
  /** Where the leases of landing queues are taken and renewed. Default: the pool. */
  readonly leases?: Queryable;
  readonly wakeUps?: Pick<WakeUps, 'hint'>;
}

/** Inboxes in PostgreSQL, beside the data their handlers change. */
export class PgInboxStore implements InboxStore {
  readonly #pool: SagazPool;
  readonly #transactions: PgTransactions;
  readonly #schema: SchemaName;
  readonly #claims: InboxClaims;
  readonly #participants: Participants;
  readonly #letters: InboxDeadLetters;
  readonly #landings: Landings;
  readonly #groups: PgLandingGroups;

  constructor({ pool, transactions, schema, leases = pool, wakeUps }: PgInboxStoreParts) {
    this.#pool = pool;
    this.#transactions = transactions;
    this.#schema = schema;
    this.#claims = new InboxClaims(schema);
    this.#participants = new Participants(schema);
    this.#letters = new InboxDeadLetters(pool, schema, wakeUps);
    this.#landings = new Landings({ pool, schema, leases, wakeUps });
    this.#groups = new PgLandingGroups(pool, schema);
  }

  claim(
    key: InboxKey,
    transaction: Transaction,
    waitMs: number,
    options: ClaimOptions = {},
  ): Promise<ClaimState> {
    return this.#claims.claim(this.#transactions.own(transaction), key, waitMs, options);
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

  bury(
    key: InboxKey,
    letter: InboxDeath,
    transaction: Transaction,
    waitMs: number,
    line: InboxLine | undefined,
    landed?: LandedRow,
  ): Promise<boolean> {
    const own = this.#transactions.own(transaction);
    return landed === undefined
      ? this.#landings.buryNew(own, key, letter, waitMs, line)
      : this.#landings.buryLanded(own, key, letter, waitMs, line, landed);
  }

  land(messages: readonly LandingMessage[], waitMs: number): Promise<number> {
    return this.#landings.land(messages, waitMs);
  }

  landingQueue(group: string): Promise<SlotQueueStore> {
    return this.#landings.queue(group);
  }

  landedSize(group: string, most: number): Promise<LandedSize> {
    return this.#landings.size(group, most);
  }

  landingBacklog(): Promise<readonly LandingBacklog[]> {
    return this.#groups.backlog();
  }

  unservedLandings(): Promise<readonly LandingBacklog[]> {
    return this.#groups.unserved();
  }

  async renameGroup(from: string, to: string): Promise<number> {
    const renamed = await this.#transactions.run((own) => this.#groups.rename(own, from, to));
    for (const group of [from, to]) this.#landings.forget(group);
    return renamed;
  }

  retireLanded(
    group: string,
    retirement: Retirement,
    limit: number,
    transaction: Transaction,
  ): Promise<readonly Message[]> {
    return this.#groups.retire(this.#transactions.own(transaction), group, retirement, limit);
  }

  finishLanded(row: LandedRow, transaction: Transaction): Promise<void> {
    return this.#landings.finish(row, this.#transactions.own(transaction));
  }

  listDeadLetters(filter: DeadLetterFilter): Promise<readonly InboxDeadLetter[]> {
    return this.#letters.list(filter);
  }

  replayDeadLetters(keys: readonly InboxKey[]): Promise<readonly DeadLetterOutcome[]> {
    return this.#letters.replay(keys);
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
