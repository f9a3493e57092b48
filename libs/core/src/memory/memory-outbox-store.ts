import { checkDeadLetterFilter } from '../ports/index.js';
import { checkKeys, hintSlots } from '../messaging/index.js';
import type {
  DeadLetterFilter,
  DeadLetterOutcome,
  OutboxDeadLetter,
  OutboxMessage,
  OutboxStore,
  Place,
  Transaction,
  WakeUps,
} from '../ports/index.js';
import type { QueueRow } from './memory-queue-rows.js';
import type { MemoryTransaction } from './memory-transaction.js';
import { MemorySlotQueue } from './memory-slot-queue.js';
import type { MemorySlotQueueParts } from './memory-slot-queue-parts.js';

const DEFAULT_LIMIT = 50;

export interface MemoryOutboxStoreParts extends MemorySlotQueueParts {
  /** Called after every commit that wrote messages. */
  readonly wakeUps?: WakeUps;
}

/** An outbox in memory. */
export class MemoryOutboxStore extends MemorySlotQueue implements OutboxStore {
  readonly #wakeUps: WakeUps | undefined;

  constructor(parts: MemoryOutboxStoreParts) {
    super(parts);
    this.#wakeUps = parts.wakeUps;
  }

  async append(messages: readonly OutboxMessage[], transaction?: Transaction): Promise<void> {
    if (messages.length === 0) return;
    checkKeys(messages);
    await this.transactions.within(transaction, async (own) => {
      own.afterCommit(() => {
        if (this.#wakeUps !== undefined) hintSlots(this.#wakeUps, 'outbox', messages);
      });
      await this.appendRows(
        messages.map((message) => ({
          message,
          ordered: message.ordered,
          delayMs: message.delayMs,
        })),
        own,
      );
    });
  }

  appendAtCommit(messages: readonly OutboxMessage[], transaction: Transaction): Promise<void> {
    return this.append(messages, transaction);
  }

  /** Locks the row of a message in a transaction, for tests of what waits for it. */
  async lockRow({ seq }: Place, transaction: Transaction): Promise<void> {
    await this.transactions.own(transaction).lock(this.locks.row(seq));
  }

  /** The same for the lease row of a slot. */
  async lockLease(slot: number, transaction: Transaction): Promise<void> {
    await this.transactions.own(transaction).lock(this.locks.slot(slot));
  }

  async listDeadLetters(filter: DeadLetterFilter): Promise<readonly OutboxDeadLetter[]> {
    checkDeadLetterFilter(filter);
    const { limit = DEFAULT_LIMIT } = filter;
    const after = filter.after === undefined ? -1n : BigInt(filter.after);
    return this.rows
      .committed(
        (row) =>
          row.status === 'dead_letter' &&
          (filter.topic === undefined || row.message.topic === filter.topic) &&
          (filter.type === undefined || row.message.type === filter.type) &&
          (filter.key === undefined || row.message.key === filter.key),
      )
      .filter((row) => BigInt(row.seq) > after)
      .slice(0, limit)
      .map((row) => deadLetterOf(row));
  }

  replayDeadLetters(ids: readonly string[]): Promise<readonly DeadLetterOutcome[]> {
    return this.#takeUp(ids, (row, key, transaction) => {
      this.rows.table.set(
        key,
        { ...row, status: 'pending', attempts: 0, blocks: false, diedAt: null },
        transaction,
      );
      transaction.afterCommit(() => this.#wakeUps?.hint('outbox'));
    });
  }

  discardDeadLetters(ids: readonly string[]): Promise<readonly DeadLetterOutcome[]> {
    return this.#takeUp(ids, (_row, key, transaction) => {
      this.rows.table.delete(key, transaction);
    });
  }

  async #takeUp(
    ids: readonly string[],
    apply: (row: QueueRow, key: string, transaction: MemoryTransaction) => void,
  ): Promise<readonly DeadLetterOutcome[]> {
    const wanted = new Set(ids);
    return this.transactions.within(undefined, async (transaction) => {
      const found = [...this.rows.table.committed()].filter(
        ([, row]) => row.status === 'dead_letter' && wanted.has(row.message.id),
      );
      const slots = [...new Set(found.map(([, row]) => row.slot))].sort((a, b) => a - b);
      for (const slot of slots) await transaction.lock(this.locks.slot(slot));
      const outcomes = new Map<string, DeadLetterOutcome>();
      for (const [key] of found) {
        const row = this.rows.table.get(key);
        if (row?.status !== 'dead_letter') continue;
        const free = transaction.tryLock(this.locks.row(key));
        outcomes.set(row.message.id, free ? 'done' : 'busy');
        if (free) apply(row, key, transaction);
      }
      transaction.stage(() => {
        for (const slot of slots) this.leases.raiseVersion(slot);
      });
      return ids.map((id) => outcomes.get(id) ?? 'unknown');
    });
  }
}

function deadLetterOf(row: QueueRow & { readonly seq: string }): OutboxDeadLetter {
  const { message } = row;
  return {
    cursor: row.seq,
    id: message.id,
    tenant: message.tenant,
    topic: message.topic,
    key: message.key,
    type: message.type,
    attempts: row.attempts,
    reason: row.reason,
    error: row.error,
    diedAt: row.diedAt ?? new Date(0),
    contentType: message.contentType,
    payload: message.payload,
    headers: message.headers,
  };
}
