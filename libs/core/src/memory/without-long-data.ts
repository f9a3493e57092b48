import type { RecordedEntry } from '../ports/index.js';

/** Bytes of an entry's data that a list shows at most. */
const LONGEST_DATA = 8_000;

/** An entry as a list shows it: where a saga stands needs no large outputs. */
export function withoutLongData(entry: RecordedEntry): RecordedEntry {
  const long = entry.data !== null && Buffer.byteLength(entry.data) > LONGEST_DATA;
  return long ? { ...entry, data: null } : entry;
}
