import { recordMessage, type ErrorRecord } from '../../errors/index.js';
import { parseJournal } from '../../messaging/index.js';
import type { RecordedEntry } from '../../ports/index.js';
import { parseBeginning } from './json-beginning.js';

/** The data of an entry, of which any field may be missing or damaged. */
export type EntryData = Readonly<Record<string, unknown>>;

/**
 * Decodes the data of an entry for people. Returns the text itself if it is damaged, since people read
 * damaged journals, too.
 */
export function historyData(text: string | null): unknown {
  return decoded(text, (damaged) => damaged);
}

/** Reads the data of an entry as far as it is there: stores give lists only the beginning of long data. */
export function entryData({ data }: RecordedEntry): EntryData {
  const known = decoded(data, parseBeginning);
  return isData(known) ? known : {};
}

function decoded(text: string | null, otherwise: (text: string) => unknown): unknown {
  if (text === null) return null;
  try {
    return parseJournal(text);
  } catch {
    return otherwise(text);
  }
}

export function isData(value: unknown): value is EntryData {
  return typeof value === 'object' && value !== null;
}

export function textIn(data: EntryData, name: string): string | null {
  const value = data[name];
  return typeof value === 'string' ? value : null;
}

export function numberIn(data: EntryData, name: string): number {
  const value = data[name];
  return typeof value === 'number' && Number.isFinite(value) ? value : 0;
}

/** The message of the error in the data; null: there is none. */
export function errorIn(data: EntryData): string | null {
  const error = data['error'];
  return isRecord(error) ? recordMessage(error) : null;
}

function isRecord(value: unknown): value is ErrorRecord {
  return isData(value) && typeof value['message'] === 'string';
}
