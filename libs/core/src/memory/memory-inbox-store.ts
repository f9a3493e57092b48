import {
  checkDeadLetterFilter,
  type Applied,
  type ClaimOptions,
  type ClaimState,
  type Clock,
  type DeadLetterFilter,
  type DeadLetterOutcome,
  type InboxAttempts,
  type InboxDeadLetter,
  type InboxDeath,
  type InboxKey,
  type InboxLine,
  type InboxStore,
  type KeptReply,
  type LandedRow,
  type LandedSize,
  type LandingBacklog,
  type LandingMessage,
  type Message,
  type ParticipantState,
  type Retirement,
  type SlotQueueStore,
  type Transaction,
  type WakeUps,
} from '../ports/index.js';
import { MemoryAttemptNotes } from './memory-attempt-notes.js';
import { MemoryInboxClaims } from './memory-inbox-claims.js';
import { lockLine, lockMessage, messageLock, nameOf } from './memory-inbox-locks.js';
import { MemoryLandingGroups } from './memory-landing-groups.js';
import { MemoryLandings } from './memory-landings.js';
import { MemoryParticipants } from './memory-participants.js';
import type { MemoryTransaction, MemoryTransactions } from './memory-transaction.js';

/**
 * An inbox in memory. As with a unique key of a database, a second writer of a row waits for the end
 * of the first.
 */
export class MemoryInboxStore implements InboxStore {
  readonly #transactions: MemoryTransactions;
  readonly #clock: Clock;
  readonly #claims: MemoryInboxClaims;
  readonly #participants: MemoryParticipants;
  readonly #notes: MemoryAttemptNotes;
  readonly #landings: MemoryLandings;
  readonly #groups: MemoryLandingGroups;

  constructor(transactions: MemoryTransactions, clock: Clock, wakeUps?: Pick<WakeUps, 'hint'>) {
    this.#transactions = transactions;
    this.#clock = clock;
    this.#claims = new MemoryInboxClaims(clock);
    this.#participants = new MemoryParticipants(transactions, clock);
    this.#notes = new MemoryAttemptNotes(transactions, clock);
    this.#landings = new MemoryLandings(transactions, clock, wakeUps);
    const { claims, notes, landings } = {
      claims: this.#claims,
      notes: this.#notes,
      landings: this.#landings,
    };
    this.#groups = new MemoryLandingGroups({ claims, notes, landings });
  }

  claim(
    key: InboxKey,
    transaction: Transaction,
    waitMs: number,
    options: ClaimOptions = {},
  ): Promise<ClaimState> {
    return this.#transactions.within(transaction, (own) =>
      this.#claims.claim(key, own, waitMs, options, this.#landings.of(key.group)),
    );
  }

  beginCommand(
    tenant: string,
    idempotencyKey: string,
    keepMs: number,
    transaction: Transaction,
    waitMs: number,
  ): Promise<ParticipantState> {
    return this.#participants.begin(tenant, idempotencyKey, keepMs, transaction, waitMs);
  }

  lookAtParticipant(
    tenant: string,
    idempotencyKey: string,
    transaction: Transaction,
  ): Promise<ParticipantState> {
    return this.#participants.look(tenant, idempotencyKey, transaction);
  }

  keepReply(
    tenant: string,
    idempotencyKey: string,
    reply: KeptReply,
    transaction: Transaction,
  ): Promise<void> {
    return this.#participants.keepReply(tenant, idempotencyKey, reply, transaction);
  }

  markUndone(
    tenant: string,
    idempotencyKey: string,
    keepMs: number,
    transaction: Transaction,
    waitMs: number,
  ): Promise<Applied> {
    return this.#participants.undo(tenant, idempotencyKey, keepMs, transaction, waitMs);
  }

  readAttempts(key: InboxKey): Promise<InboxAttempts> {
    return Promise.resolve(this.#notes.read(key));
  }

  noteStart(key: InboxKey, alone: boolean): Promise<InboxAttempts> {
    return this.#notes.note(key, (noted) =>
      alone ? { ...noted, crashes: noted.crashes + 1 } : { ...noted, starts: noted.starts + 1 },
    );
  }

  noteCompany(key: InboxKey): Promise<InboxAttempts> {
    return this.#notes.note(key, (noted) => ({
      ...noted,
      starts: noted.starts + 1,
      crashes: Math.max(0, noted.crashes - 1),
    }));
  }

  takeBackStart(key: InboxKey, alone: boolean): Promise<InboxAttempts> {
    return this.#notes.note(key, (noted) =>
      alone
        ? { ...noted, crashes: Math.max(0, noted.crashes - 1) }
        : { ...noted, starts: Math.max(0, noted.starts - 1) },
    );
  }

  noteEnd(key: InboxKey, end: 'failed' | 'timed_out' | 'uncounted'): Promise<InboxAttempts> {
    return this.#notes.note(key, ({ failures, timeouts }) => ({
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
    line: InboxLine | undefined,
    landed?: LandedRow,
  ): Promise<boolean> {
    return this.#transactions.within(transaction, async (own) => {
      const queue = this.#landings.of(key.group);
      if (landed !== undefined) await lockLine(key, line, own, waitMs);
      await lockMessage(key, own, waitMs);
      if (this.#claims.get(key, own) !== (landed === undefined ? undefined : 'landed')) {
        return false;
      }
      this.#claims.set(key, 'dead', own);
      this.#notes.forget(key, own);
      if (landed === undefined) queue.addDead(key, letter, line, own);
      else await queue.bury(landed, letter, own);
      return true;
    });
  }

  async land(messages: readonly LandingMessage[], waitMs: number): Promise<number> {
    return this.#transactions.within(undefined, async (own) => {
      const byName = new Map(messages.map((one) => [nameOf(one.key), one]));
      // As rows of a unique index: in one order, so that no two callers wait for each other in a circle.
      const free = new Set<string>();
      for (const name of [...byName.keys()].sort()) {
        const key = byName.get(name)?.key;
        if (key === undefined) continue;
        await lockMessage(key, own, waitMs);
        if (this.#claims.get(key, own) !== undefined) continue;
        this.#claims.set(key, 'landed', own);
        free.add(name);
      }
      const landing = messages.filter(({ key }) => free.delete(nameOf(key)));
      for (const one of landing) this.#landings.of(one.key.group).add(one, own);
      this.#landings.hint(landing, own);
      return landing.length;
    });
  }

  landingQueue(group: string): Promise<SlotQueueStore> {
    return Promise.resolve(this.#landings.of(group));
  }

  landedSize(group: string, most: number): Promise<LandedSize> {
    return Promise.resolve(this.#landings.of(group).size(most));
  }

  landingBacklog(): Promise<readonly LandingBacklog[]> {
    return Promise.resolve(this.#groups.backlog());
  }

  unservedLandings(): Promise<readonly LandingBacklog[]> {
    return this.#groups.unserved();
  }

  renameGroup(from: string, to: string): Promise<number> {
    return this.#transactions.within(undefined, (own) => this.#groups.rename(from, to, own));
  }

  retireLanded(
    group: string,
    retirement: Retirement,
    limit: number,
    transaction: Transaction,
  ): Promise<readonly Message[]> {
    return this.#transactions.within(transaction, (own) =>
      this.#groups.retire(group, retirement, limit, own),
    );
  }

  async finishLanded(row: LandedRow, transaction: Transaction): Promise<void> {
    await this.#transactions.within(transaction, (own) =>
      this.#landings.of(row.key.group).finish(row, own),
    );
  }

  async listDeadLetters(filter: DeadLetterFilter): Promise<readonly InboxDeadLetter[]> {
    checkDeadLetterFilter(filter);
    return this.#landings.list(filter);
  }

  replayDeadLetters(keys: readonly InboxKey[]): Promise<readonly DeadLetterOutcome[]> {
    return this.#eachLocked(keys, async (key, own) => {
      const state = this.#claims.get(key, own);
      if (state === 'landed') return 'done';
      if (state === 'done') return 'ended';
      const queue = this.#landings.of(key.group);
      const row = queue.find(key, own);
      if (row === undefined) return 'unknown';
      this.#claims.set(key, 'landed', own);
      await queue.replay(row, own);
      this.#landings.hintAll(key.group, own);
      return 'done';
    });
  }

  discardDeadLetters(keys: readonly InboxKey[]): Promise<readonly DeadLetterOutcome[]> {
    return this.#eachLocked(keys, async (key, own) => {
      const state = this.#claims.get(key, own);
      if (state === 'landed') return 'busy';
      if (state === 'done') return 'ended';
      const queue = this.#landings.of(key.group);
      const row = queue.find(key, own);
      if (row === undefined) return 'unknown';
      this.#claims.set(key, 'done', own);
      await queue.discard(row, own);
      this.#landings.hintAll(key.group, own);
      return 'done';
    });
  }

  countDeadLetters(): Promise<number> {
    return Promise.resolve(this.#landings.countDeadLetters());
  }

  prune(doneMs: number, limit: number): Promise<number> {
    return this.#transactions.within(undefined, (own) => {
      const now = this.#clock.now();
      const old = now - doneMs;
      return (
        this.#claims.prune(limit, old, own) +
        this.#participants.prune(limit, now, own) +
        this.#notes.prune(limit, old, own)
      );
    });
  }

  msUntil(instant: string): Promise<number> {
    return Promise.resolve(Date.parse(instant) - this.#clock.date().getTime());
  }

  /**
   * The outcomes of `change`, in the order of the keys. A message that is being ended is `busy`, so that an
   * operator never waits for a handler.
   */
  #eachLocked(
    keys: readonly InboxKey[],
    change: (key: InboxKey, own: MemoryTransaction) => Promise<DeadLetterOutcome>,
  ): Promise<readonly DeadLetterOutcome[]> {
    return this.#transactions.within(undefined, async (own) => {
      const outcomes = new Map<string, DeadLetterOutcome>();
      for (const key of keys.toSorted((a, b) => (nameOf(a) < nameOf(b) ? -1 : 1))) {
        const name = nameOf(key);
        if (outcomes.has(name)) continue;
        const free = own.tryLock(messageLock(name));
        outcomes.set(name, free ? await change(key, own) : 'busy');
      }
      return keys.map((key) => outcomes.get(nameOf(key)) ?? 'unknown');
    });
  }
}
