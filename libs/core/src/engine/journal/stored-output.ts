import { parseJournal } from '../../messaging/index.js';
import type { EntryPlace, RecordedEntry } from '../../ports/index.js';

/**
 * An output that is in the store and not in memory: its place in the journal, and its size. It stands where the
 * output would stand, in entries and in the state of a saga, until somebody asks for the value.
 */
export class StoredOutput implements EntryPlace {
  constructor(
    readonly revision: number,
    readonly ordinal: number,
    /** The size of its data. */
    readonly bytes: number,
  ) {}

  /** The output of an entry whose data was left in the store. */
  static of({ revision, ordinal, apart = 0 }: RecordedEntry): StoredOutput {
    return new StoredOutput(revision, ordinal, apart);
  }
}

/** The output in the data of its entry; each call makes a value of its own. */
export function outputIn(text: string): unknown {
  const data = parseJournal(text);
  return typeof data === 'object' && data !== null && 'output' in data ? data.output : undefined;
}
