/** One thing that happened to a saga. Stores keep its data without reading it. */
export interface JournalEntry {
  readonly kind: string;
  readonly step: string | null;
  /** The item of the step that the entry is about; null: the step has none. */
  readonly item: string | null;
  /** The attempt that the entry is about; 0: none. */
  readonly attempt: number;
  /** JSON text, escaped so that it holds no NUL and no lone surrogate; null for none. */
  readonly data: string | null;
  /**
   * True: claims and loads leave the data in the store where it is large (`isLarge`), and it is read when
   * somebody asks for it. Default: it is read with the saga.
   */
  readonly onDemand?: boolean;
}

/** The kind of the entry by which a store stands for what it cannot read; its data is the damaged text. */
export const UNREADABLE_ENTRY = 'unreadable';

/** The place of an entry in the journal of its saga. */
export interface EntryPlace {
  /** The revision of the saga that this entry's transition made. */
  readonly revision: number;
  /** Position within the transition, from 0. */
  readonly ordinal: number;
}

/** An entry as it stands in a journal. */
export interface RecordedEntry extends Omit<JournalEntry, 'onDemand'>, EntryPlace {
  readonly transitionId: string;
  /** When it was recorded, by the database's clock; for people. */
  readonly recordedAt: Date;
  /**
   * The bytes of its data, where that was left in the store: `data` is null, and `dataOf` reads it. Absent: it
   * was not left there.
   */
  readonly apart?: number;
}

/** The longest data, in UTF-16 code units, that is kept beside its entry; longer data is kept apart. */
export const LONGEST_INLINE = 2_048;

/** Whether data is kept apart from its entry, so that reads of the journal do not read it. */
export function isLarge(data: string | null): boolean {
  return data !== null && data.length > LONGEST_INLINE;
}

/** The bytes that an entry takes beside its labels and data, about. */
const ENTRY_BYTES = 16;

/** The bytes of entries, about: a thousand entries without data have a size, too. */
export function entryBytes(entries: readonly JournalEntry[]): number {
  return entries.reduce((sum, { kind, step, item, data, onDemand }) => {
    const labels = kind.length + (step?.length ?? 4) + (item?.length ?? 0);
    return sum + ENTRY_BYTES + labels + (onDemand === true && isLarge(data) ? 0 : bytesOf(data));
  }, 0);
}

/** The bytes of data. */
export function bytesOf(data: string | null): number {
  return data === null ? 0 : Buffer.byteLength(data);
}
