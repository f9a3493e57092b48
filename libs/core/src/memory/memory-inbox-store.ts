import type {
  Applied,
  Clock,
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
} from '../ports/index.js';
import {
  lockMessage,
  lockParticipant,
  messageLock,
  nameOf,
  notesLock,
  participantLock,
  participantName,
} from './memory-inbox-locks.js';
import { MemoryInboxLetters } from './memory-inbox-letters.js';
import { MemoryTable } from './memory-table.js';
import type { MemoryTransaction, MemoryTransactions } from './memory-transaction.js';

interface Claim {
  readonly state: 'done' | 'dead';
  readonly at: number;
}

interface Participant {
  readonly applied: boolean;
  readonly undone: boolean;
  readonly reply: KeptReply | null;
  readonly keepUntil: number;
}

interface Notes extends InboxAttempts {
  readonly at: number;
}

const NOTHING_NOTED: InboxAttempts = { failures: 0, timeouts: 0, starts: 0, crashes: 0 };

/**
 * An inbox in memory. As with a unique key of a database, a second writer of a row waits for the end
 * of the first.
 */
export class MemoryInboxStore implements InboxStore {
  readonly #transactions: MemoryTransactions;
  readonly #clock: Clock;
  readonly #claims = new MemoryTable<Claim>();
  readonly #participants = new MemoryTable<Participant>();
  readonly #notes = new MemoryTable<Notes>();
  readonly #letters = new MemoryInboxLetters();

  constructor(transactions: MemoryTransactions, clock: Clock) {
    this.#transactions = transactions;
    this.#clock = clock;
  }

  claim(key: InboxKey, transaction: Transaction, waitMs: number): Promise<'new' | 'done' | 'dead'> {
    return this.#transactions.within(transaction, async (own) => {
      const name = nameOf(key);
      await lockMessage(key, own, waitMs);
      const known = this.#claims.get(name, own);
      if (known !== undefined) return known.state;
      this.#claims.set(name, { state: 'done', at: this.#clock.now() }, own);
      return 'new';
    });
  }

  beginCommand(
    tenant: string,
    idempotencyKey: string,
    keepMs: number,
    transaction: Transaction,
    waitMs: number,
  ): Promise<ParticipantState> {
    return this.#transactions.within(transaction, async (own) => {
      const name = participantName(tenant, idempotencyKey);
      await lockParticipant(name, idempotencyKey, own, waitMs);
      const known = this.#participants.get(name, own);
      if (known === undefined) {
        const keepUntil = this.#clock.now() + keepMs;
        const row = { applied: true, undone: false, reply: null, keepUntil };
        this.#participants.set(name, row, own);
      }
      return stateOf(known);
    });
  }

  lookAtParticipant(
    tenant: string,
    idempotencyKey: string,
    transaction: Transaction,
  ): Promise<ParticipantState> {
    return this.#transactions.within(transaction, (own) =>
      stateOf(this.#participants.get(participantName(tenant, idempotencyKey), own)),
    );
  }

  async keepReply(
    tenant: string,
    idempotencyKey: string,
    reply: KeptReply,
    transaction: Transaction,
  ): Promise<void> {
    await this.#transactions.within(transaction, (own) => {
      const name = participantName(tenant, idempotencyKey);
      const known = this.#participants.get(name, own);
      if (known !== undefined) this.#participants.set(name, { ...known, reply }, own);
    });
  }

  markUndone(
    tenant: string,
    idempotencyKey: string,
    keepMs: number,
    transaction: Transaction,
    waitMs: number,
  ): Promise<Applied> {
    return this.#transactions.within(transaction, async (own) => {
      const name = participantName(tenant, idempotencyKey);
      await lockParticipant(name, idempotencyKey, own, waitMs);
      const known = this.#participants.get(name, own);
      const keepUntil = Math.max(known?.keepUntil ?? 0, this.#clock.now() + keepMs);
      this.#participants.set(
        name,
        {
          applied: known?.applied ?? false,
          undone: true,
          reply: known?.reply ?? null,
          keepUntil,
        },
        own,
      );
      // A refused command was answered and had no effect.
      return known?.applied === true && known.reply?.status !== 'refused' ? 'applied' : 'unknown';
    });
  }

  readAttempts(key: InboxKey): Promise<InboxAttempts> {
    const { failures, timeouts, starts, crashes } = this.#notes.get(nameOf(key)) ?? NOTHING_NOTED;
    return Promise.resolve({ failures, timeouts, starts, crashes });
  }

  noteStart(key: InboxKey, alone: boolean): Promise<InboxAttempts> {
    return this.#note(key, (noted) =>
      alone ? { ...noted, crashes: noted.crashes + 1 } : { ...noted, starts: noted.starts + 1 },
    );
  }

  noteCompany(key: InboxKey): Promise<InboxAttempts> {
    return this.#note(key, (noted) => ({
      ...noted,
      starts: noted.starts + 1,
      crashes: Math.max(0, noted.crashes - 1),
    }));
  }

  takeBackStart(key: InboxKey, alone: boolean): Promise<InboxAttempts> {
    return this.#note(key, (noted) =>
      alone
        ? { ...noted, crashes: Math.max(0, noted.crashes - 1) }
        : { ...noted, starts: Math.max(0, noted.starts - 1) },
    );
  }

  noteEnd(key: InboxKey, end: 'failed' | 'timed_out' | 'uncounted'): Promise<InboxAttempts> {
    return this.#note(key, ({ failures, timeouts }) => ({
      failures: failures + (end === 'uncounted' ? 0 : 1),
      timeouts: timeouts + (end === 'timed_out' ? 1 : 0),
      starts: 0,
      crashes: 0,
    }));
  }

  bury(
    key: InboxKey,
    letter: InboxDeath,
    transaction: Transaction,
    waitMs: number,
  ): Promise<boolean> {
    return this.#transactions.within(transaction, async (own) => {
      const name = nameOf(key);
      await lockMessage(key, own, waitMs);
      if (this.#claims.get(name, own) !== undefined) return false;
      this.#claims.set(name, { state: 'dead', at: this.#clock.now() }, own);
      this.#letters.put(name, key, letter, this.#clock.date(), own);
      this.#notes.delete(name, own);
      return true;
    });
  }

  async listDeadLetters(filter: DeadLetterFilter): Promise<readonly InboxDeadLetter[]> {
    return this.#letters.list(filter);
  }

  requestReplay(keys: readonly InboxKey[]): Promise<readonly DeadLetterOutcome[]> {
    return this.#eachLocked(keys, (name, own) => {
      const there = this.#letters.requestReplay(name, this.#clock.now(), own);
      const state = this.#claims.get(name, own)?.state;
      // A message that was handled in the meantime stays handled.
      if (state === 'done') return 'ended';
      if (!there) return 'unknown';
      if (state === 'dead') this.#claims.delete(name, own);
      return 'done';
    });
  }

  takeReplays(
    groups: readonly string[],
    limit: number,
    leaseMs: number,
  ): Promise<readonly InboxDeadLetter[]> {
    return this.#transactions.within(undefined, (own) => {
      const taken: InboxDeadLetter[] = [];
      const now = this.#clock.now();
      for (const name of this.#letters.due(groups, now)) {
        if (taken.length === limit) break;
        if (!own.tryLock(messageLock(name))) continue;
        const letter = this.#letters.take(name, now + leaseMs, own);
        if (letter !== null) taken.push(letter);
      }
      return taken;
    });
  }

  async postponeReplay(key: InboxKey, delayMs: number): Promise<void> {
    await this.#eachLocked([key], (name, own) =>
      this.#letters.postpone(name, this.#clock.now() + delayMs, own),
    );
  }

  async endReplay(key: InboxKey, handledAs = key): Promise<void> {
    await this.#eachLocked([key], (name, own) => {
      const handled = nameOf(handledAs);
      const state = this.#claims.get(handled, own)?.state;
      const over = state === 'done' || (state === 'dead' && handled !== name);
      return over && this.#letters.isReplaying(name, own) && this.#letters.remove(name, own);
    });
  }

  discardDeadLetters(keys: readonly InboxKey[]): Promise<readonly DeadLetterOutcome[]> {
    return this.#eachLocked(keys, (name, own) => {
      const there = this.#letters.remove(name, own);
      if (this.#claims.get(name, own)?.state === 'done') return 'ended';
      if (!there) return 'unknown';
      this.#claims.set(name, { state: 'done', at: this.#clock.now() }, own);
      return 'done';
    });
  }

  countDeadLetters(): Promise<number> {
    return Promise.resolve(this.#letters.size);
  }

  prune(doneMs: number, limit: number): Promise<number> {
    return this.#transactions.within(undefined, (own) => {
      const now = this.#clock.now();
      const old = now - doneMs;
      return (
        pruneTable(
          this.#claims,
          limit,
          ({ at }, name) => at < old && !this.#letters.has(name),
          messageLock,
          own,
        ) +
        pruneTable(
          this.#participants,
          limit,
          ({ keepUntil }) => keepUntil < now,
          participantLock,
          own,
        ) +
        pruneTable(this.#notes, limit, ({ at }) => at < old, notesLock, own)
      );
    });
  }

  msUntil(instant: string): Promise<number> {
    return Promise.resolve(Date.parse(instant) - this.#clock.date().getTime());
  }

  #note(key: InboxKey, change: (before: InboxAttempts) => InboxAttempts): Promise<InboxAttempts> {
    return this.#transactions.within(undefined, async (own) => {
      const name = nameOf(key);
      await own.lock(notesLock(name));
      const { at: _, ...before } = this.#notes.get(name, own) ?? { ...NOTHING_NOTED, at: 0 };
      const noted = change(before);
      this.#notes.set(name, { ...noted, at: this.#clock.now() }, own);
      return noted;
    });
  }

  /**
   * The results of `change`, in the order of the keys. The locks are taken in sorted order, to prevent
   * deadlocks.
   */
  #eachLocked<T>(
    keys: readonly InboxKey[],
    change: (name: string, own: MemoryTransaction) => T,
  ): Promise<readonly T[]> {
    return this.#transactions.within(undefined, async (own) => {
      const names = keys.map(nameOf);
      const outcomes = new Map<string, T>();
      for (const name of [...new Set(names)].sort()) {
        await own.lock(messageLock(name));
        outcomes.set(name, change(name, own));
      }
      return names.flatMap((name) => {
        const outcome = outcomes.get(name);
        return outcome === undefined ? [] : [outcome];
      });
    });
  }
}

function stateOf(row: Participant | undefined): ParticipantState {
  if (row === undefined) return { kind: 'first' };
  return row.undone ? { kind: 'undone' } : { kind: 'applied', reply: row.reply };
}

function pruneTable<Row>(
  table: MemoryTable<Row>,
  limit: number,
  isOld: (row: Row, name: string) => boolean,
  lockOf: (name: string) => string,
  own: MemoryTransaction,
): number {
  let gone = 0;
  for (const [name, row] of table.entries()) {
    if (gone === limit) break;
    if (!isOld(row, name) || !own.tryLock(lockOf(name))) continue;
    table.delete(name, own);
    gone += 1;
  }
  return gone;
}
