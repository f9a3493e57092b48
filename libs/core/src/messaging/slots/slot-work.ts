import type { NewMail, QueuedMessage } from '../../ports/index.js';
import type { HeldLease } from './held-lease.js';
import type { KeyLine } from './key-line.js';

/** What became of a row that was worked on. */
export type RowOutcome =
  /** Done: the row is removed. */
  | { readonly kind: 'complete' }
  /** Due again after `delayMs`, by the store's clock; until then it holds back its key. */
  | {
      readonly kind: 'retry';
      readonly delayMs: number;
      readonly counts: boolean;
      readonly error: unknown;
    }
  /** Given up. With `block` its key stays behind it, otherwise the key goes on. */
  | {
      readonly kind: 'dead_letter';
      readonly counts: boolean;
      readonly error: unknown;
      readonly reason: string;
      readonly block: boolean;
      readonly mail?: NewMail;
      /** Called once the store has it so. */
      readonly landed?: () => void;
    }
  /** Nothing was decided: it is worked on again, at its place, and nothing is written about it. */
  | { readonly kind: 'again' };

/** A row that this process has read and not finished. */
export interface TakenRow {
  row: QueuedMessage;
  /** The lease under which it was read. */
  readonly lease: HeldLease;
  readonly line: KeyLine;
  /** It lay there when the slot's owner before died: it may have been worked on then. */
  readonly afterDeath: boolean;
  /** It may be worked on together with at most so many others, itself counted; lowered by doubt. */
  batchLimit: number;
  /** `done`: worked on, and only its removal is outstanding. */
  state: 'waiting' | 'working' | 'ending' | 'done';
  /**
   * Its slot may go to others before it is finished here: the time for it is over and the store has it as a
   * retry, or it is done and could not be removed yet.
   */
  overdue: boolean;
  /** The slot was lost since: nothing about this row may be written, except that it is done. */
  lost: boolean;
}

/** Where a {@link SlotWork} gets its rows and tells what became of them. */
export interface WorkSource {
  /**
   * Rows to work on now, oldest first, of keys none of whose rows is being worked on: at most
   * `perKey` of one key, in order, and no more than `bytes` of payload unless the first alone is larger.
   * Rows whose lease could end within `budgetMs` are not given.
   */
  take(limit: number, perKey: number, budgetMs: number, bytes?: number): readonly TakenRow[];
  /** Every row taken is settled exactly once. */
  settle(row: TakenRow, outcome: RowOutcome): void;
  /**
   * The work on a row goes on beyond its time. Counts an attempt and notes a retry in the store, for
   * the case that this process is not there then. The row is settled later all the same, and its key
   * waits until then.
   */
  overdue(row: TakenRow, retry: { readonly delayMs: number; readonly error: unknown }): void;
  /** Whether something that takes up to `budgetMs` may still be begun with the row. */
  trusts(row: TakenRow, budgetMs: number): boolean;
  /** Leaves rows of a topic alone for a while. */
  pauseTopic(topic: string, ms: number): void;
  /** Aborted when the slot of the row is lost, or the consumer closes for good; and by whoever works on the row. */
  stopOf(row: TakenRow): AbortController;
  /** The loop has shown that it moves; a lease is renewed only while it does. */
  progressed(): void;
}

/** A way of working on rows: many at once, or each by itself. */
export interface SlotWork {
  /** How many rows are good to have waiting in memory, so that work never waits for a read. */
  readonly buffer: number;
  /** How long one row may take without this being a sign that nothing moves, in milliseconds. */
  readonly patienceMs: number;
  /** Called once, before anything else. */
  attach(source: WorkSource): void;
  /** There may be rows to take. Cheap, called often. */
  wake(): void;
  /** Takes nothing more. */
  stop(): void;
  /** True: what waits does so because all places are taken by work that has no time limit. */
  readonly waitsForItself?: boolean;
  /** Null while it works; otherwise what is wrong. */
  problem(): string | null;
}
