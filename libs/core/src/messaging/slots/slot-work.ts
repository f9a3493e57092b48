import type { NewMail, QueuedMessage } from '../../ports/index.js';
import type { HeldLease } from './held-lease.js';
import type { KeyLine } from './key-line.js';

/** The outcome of the work on a row. */
export type RowOutcome =
  /** The row is done and is removed. */
  | { readonly kind: 'complete' }
  /**
   * The row is due again after `delayMs` milliseconds, by the store's clock; until then it holds back
   * its key.
   */
  | {
      readonly kind: 'retry';
      readonly delayMs: number;
      readonly counts: boolean;
      /** Null: there was no attempt, and the error that the row has stays. */
      readonly error: unknown;
    }
  /**
   * The row becomes a dead letter. With `block` the later rows of its key wait, otherwise they go on.
   */
  | {
      readonly kind: 'dead_letter';
      readonly counts: boolean;
      readonly error: unknown;
      readonly reason: string;
      readonly block: boolean;
      readonly mail?: NewMail;
      /** Called once the store has recorded it. */
      readonly landed?: () => void;
    }
  /**
   * The work itself has ended the row in the store, in a transaction that the lease fenced. `blocks`: it is
   * a dead letter that goes on holding back its key; otherwise the later rows of the key go on.
   */
  | { readonly kind: 'ended'; readonly blocks: boolean }
  /**
   * The store says that an earlier row holds back its key, which this process may not know of yet. What holds
   * back keys of the slot is read, and then the row is held, or worked on again later.
   */
  | { readonly kind: 'behind'; readonly error: unknown }
  /** The outcome is open: the row is worked on again, in its place, and nothing is written. */
  | { readonly kind: 'again' };

/** A row that this process has read and not finished. */
export interface TakenRow {
  row: QueuedMessage;
  /** The lease under which it was read. */
  readonly lease: HeldLease;
  readonly line: KeyLine;
  /**
   * Whether the row was in the slot when the previous owner died, so that it may have been in work
   * then.
   */
  readonly afterDeath: boolean;
  /**
   * The most rows of a batch that may contain this row, itself included; lowered if it may spoil
   * batches.
   */
  batchLimit: number;
  /** The state of the row. `done`: only its removal is outstanding. */
  state: 'waiting' | 'working' | 'ending' | 'done';
  /**
   * Whether its slot may go to another process before it is finished here: its time limit is over and
   * the store has it as a retry, or it is done and could not be removed yet.
   */
  overdue: boolean;
  /** Whether the slot was lost since: nothing about this row may be written, except that it is done. */
  lost: boolean;
}

/** The interface by which a {@link SlotWork} gets rows and reports their outcomes. */
export interface WorkSource {
  /**
   * Takes rows to work on, oldest first, of keys that have no row in work: at most `perKey` of one key,
   * in order, and no more than `bytes` of payload unless the first alone is larger. Rows whose lease
   * could end within `budgetMs` are not given.
   */
  take(limit: number, perKey: number, budgetMs: number, bytes?: number): readonly TakenRow[];
  /** Reports the outcome of a row. Every row that was taken is settled exactly once. */
  settle(row: TakenRow, outcome: RowOutcome): void;
  /**
   * Reports that the work on a row runs on after its time limit. Counts an attempt and records a retry
   * in the store, in case this process dies. The row is settled later all the same, and its key waits
   * until then.
   */
  overdue(row: TakenRow, retry: { readonly delayMs: number; readonly error: unknown }): void;
  /** Whether work that takes up to `budgetMs` milliseconds may still be begun with the row. */
  trusts(row: TakenRow, budgetMs: number): boolean;
  /**
   * Until when the lease of the row surely lasts, by the monotonic clock; later renewals are not in it.
   * `-Infinity` if the row is lost.
   */
  trustedUntil(row: TakenRow): number;
  /**
   * Gives no rows of a topic, which took nothing, for `ms` milliseconds. Until it takes a row again, no more
   * of its rows are read, and only a few stay in memory.
   */
  pauseTopic(topic: string, ms: number): void;
  /**
   * The controller that is aborted when the slot of the row is lost, or with a `SubscriptionClosedError`
   * when the consumer closes for good; the work may abort it too.
   */
  stopOf(row: TakenRow): AbortController;
  /** Reports progress of the work; leases are renewed only while there is progress. */
  progressed(): void;
}

/** A way of working on rows: many at once, or each by itself. */
export interface SlotWork {
  /** How many rows should wait in memory, so that the work never waits for a read. */
  readonly buffer: number;
  /** How long one row may take before the work counts as stuck, in milliseconds. */
  readonly patienceMs: number;
  /** Called once, before anything else. */
  attach(source: WorkSource): void;
  /** Called when there may be rows to take. It is called often and must be cheap. */
  wake(): void;
  /** Takes nothing more. */
  stop(): void;
  /** True: rows wait because all places are taken by work without a time limit. */
  readonly waitsForItself?: boolean;
  /** The problem in words, for health; null while it works. */
  problem(): string | null;
}
