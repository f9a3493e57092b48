import type { KeyName, QueuedMessage } from './slot-queue.js';

/** The most rows of one status that are counted. */
export const MOST_COUNTED = 100_000;

/** The bytes that a row counts for beside its payload where bytes bound a read. */
export const ROW_BYTES = 500;

export interface ReadLimits {
  /** The most rows in all. */
  readonly limit: number;
  /**
   * The read ends with the row that brings its payloads, and {@link ROW_BYTES} for each row, to this many
   * bytes. It reads the payload of no row behind that one.
   */
  readonly bytes: number;
}

export interface ReadRequest extends ReadLimits {
  /** The floor of each slot: rows at or below it are not read. `'0'` means from the start. */
  readonly windows: readonly { readonly slot: number; readonly floor: string }[];
  /**
   * Numbers of rows that are being worked on and must not be read again. A number is unique over all
   * slots.
   */
  readonly inFlight: readonly string[];
  /** The most rows of one slot. */
  readonly perSlot: number;
  /** Keys and topics that are left out, to read on behind them. Default: none. */
  readonly passingOver?: PassingOver;
}

/** The keys and topics that a read passes over, and how far it goes. */
export interface PassingOver {
  /** Keys whose ordered rows are left out. */
  readonly keys: readonly KeyName[];
  /** Topics whose rows are left out. */
  readonly topics: readonly string[];
  /**
   * The read looks at no more than this many pending rows of each slot, from its floor on, those that it
   * leaves out included: its cost stays bounded, however many rows a key has.
   */
  readonly within: number;
}

export interface ReadResult {
  /**
   * Rows that are `pending`, ascending for each slot. The rows of a slot are always a prefix of those
   * that are pending, above the floor, not in flight and not of a key or topic that is passed over: the
   * floor is raised on the strength of that, and no row of a key is shown without those before it.
   */
  readonly rows: readonly QueuedMessage[];
  /** True only if the read did not end at `limit` or `bytes`; otherwise there may be more rows of any slot. */
  readonly complete: boolean;
  /** The `xmin` of the snapshot that was read, as a decimal string. */
  readonly snapshotXmin: string;
}

/** How far the next rows of slots belong to topics that are left out; see `SlotQueueStore.passTopics`. */
export interface PassedTopics {
  readonly slots: readonly {
    readonly slot: number;
    /** No row above the floor, up to this number, belongs to another topic. */
    readonly upTo: string;
    /** Whether all rows that were looked at belong to the topics, so that more may follow. */
    readonly more: boolean;
  }[];
  /** The `xmin` of the snapshot that was read, as a decimal string. */
  readonly snapshotXmin: string;
}

/**
 * Where a look for due retries of a slot begins: behind a row that is due at `dueAt`, by the store's clock
 * and in its notation.
 */
export interface DueFloor {
  readonly slot: number;
  readonly dueAt: string;
  readonly seq: string;
}

/** The topics that a look for due retries leaves out. */
export interface WithoutTopics {
  readonly topics: readonly string[];
  /** Where to begin in slots; in all others from the start. */
  readonly floors: readonly DueFloor[];
  /** The look goes no further than this many due rows of each slot, those of the topics included. */
  readonly within: number;
}

export interface DueRequest extends ReadLimits, Pick<ReadRequest, 'inFlight'> {
  /** Default: no topic is left out. */
  readonly without?: WithoutTopics;
}
