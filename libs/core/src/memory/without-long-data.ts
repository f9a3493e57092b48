import type { RecordedEntry } from '../ports/index.js';

/** The largest size of an entry's data that lists show, in bytes. */
const LONGEST_DATA = 8_000;

/** An entry as lists show it: the position of a saga can be told without large outputs. */
export function withoutLongData(entry: RecordedEntry): RecordedEntry {
  const long = entry.data !== null && Buffer.byteLength(entry.data) > LONGEST_DATA;
  return long ? { ...entry, data: null } : entry;
}
