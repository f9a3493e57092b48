import type { Applied, Clock, KeptReply, ParticipantState, Transaction } from '../ports/index.js';
import { lockParticipant, participantLock, participantName } from './memory-inbox-locks.js';
import { pruneTable } from './memory-pruning.js';
import { MemoryTable } from './memory-table.js';
import type { MemoryTransaction, MemoryTransactions } from './memory-transaction.js';

interface Participant {
  readonly applied: boolean;
  readonly undone: boolean;
  readonly reply: KeptReply | null;
  readonly keepUntil: number;
}

/** The states of idempotency keys in the service that handles their commands. */
export class MemoryParticipants {
  readonly #transactions: MemoryTransactions;
  readonly #clock: Clock;
  readonly #rows = new MemoryTable<Participant>();

  constructor(transactions: MemoryTransactions, clock: Clock) {
    this.#transactions = transactions;
    this.#clock = clock;
  }

  begin(
    tenant: string,
    idempotencyKey: string,
    keepMs: number,
    transaction: Transaction,
    waitMs: number,
  ): Promise<ParticipantState> {
    return this.#transactions.within(transaction, async (own) => {
      const name = participantName(tenant, idempotencyKey);
      await lockParticipant(name, idempotencyKey, own, waitMs);
      const known = this.#rows.get(name, own);
      if (known === undefined) {
        const keepUntil = this.#clock.now() + keepMs;
        this.#rows.set(name, { applied: true, undone: false, reply: null, keepUntil }, own);
      }
      return stateOf(known);
    });
  }

  look(
    tenant: string,
    idempotencyKey: string,
    transaction: Transaction,
  ): Promise<ParticipantState> {
    return this.#transactions.within(transaction, (own) =>
      stateOf(this.#rows.get(participantName(tenant, idempotencyKey), own)),
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
      const known = this.#rows.get(name, own);
      if (known !== undefined) this.#rows.set(name, { ...known, reply }, own);
    });
  }

  undo(
    tenant: string,
    idempotencyKey: string,
    keepMs: number,
    transaction: Transaction,
    waitMs: number,
  ): Promise<Applied> {
    return this.#transactions.within(transaction, async (own) => {
      const name = participantName(tenant, idempotencyKey);
      await lockParticipant(name, idempotencyKey, own, waitMs);
      const known = this.#rows.get(name, own);
      const keepUntil = Math.max(known?.keepUntil ?? 0, this.#clock.now() + keepMs);
      this.#rows.set(
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

  prune(limit: number, now: number, own: MemoryTransaction): number {
    return pruneTable(this.#rows, limit, ({ keepUntil }) => keepUntil < now, participantLock, own);
  }
}

function stateOf(row: Participant | undefined): ParticipantState {
  if (row === undefined) return { kind: 'first' };
  return row.undone ? { kind: 'undone' } : { kind: 'applied', reply: row.reply };
}
