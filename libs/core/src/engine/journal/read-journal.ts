import type { RecordedEntry } from '../../ports/index.js';
import { decodeEntry } from './entry-codec.js';
import type { SagaEntry } from './saga-entry.js';
import { UnreadableJournalError } from './unreadable-journal.error.js';

/**
 * Decodes the entries of a whole journal, in order. `revision` is that of the saga's row. Every
 * transition has at least one entry, so a gap in the revisions means that a row was lost.
 *
 * @throws UnreadableJournalError which names the damaged or missing row
 */
export function* readJournal(
  recorded: readonly RecordedEntry[],
  revision: number,
): Generator<{ readonly entry: SagaEntry; readonly at: number }> {
  let next = { revision: 0, ordinal: 0 };
  for (const row of recorded) {
    const follows = row.revision === next.revision && row.ordinal === next.ordinal;
    const begins = row.ordinal === 0 && next.ordinal > 0 && row.revision === next.revision + 1;
    if (!follows && !begins) throw missing(next);
    const entry = decode(row);
    yield { entry, at: row.recordedAt.getTime() };
    next = { revision: row.revision, ordinal: row.ordinal + 1 };
  }
  // Entries with a higher revision than that of the saga's row were written while the journal was being
  // read.
  if (next.ordinal === 0 || next.revision < revision) throw missing(next);
}

function decode(row: RecordedEntry): SagaEntry {
  try {
    return decodeEntry(row);
  } catch (error) {
    if (error instanceof UnreadableJournalError) throw located(row, error);
    throw located(
      row,
      new UnreadableJournalError(row.kind, 'Its data is no JSON.', { cause: error }),
    );
  }
}

function located(
  { kind, revision, ordinal }: RecordedEntry,
  error: UnreadableJournalError,
): UnreadableJournalError {
  const detail = `The entry ${String(revision)}.${String(ordinal)} (${kind}) cannot be read: ${error.detail}`;
  return new UnreadableJournalError(kind, detail, { remedy: error.remedy, cause: error });
}

function missing(next: { readonly revision: number; readonly ordinal: number }): Error {
  const after = next.ordinal === 0 ? 'its beginning' : `revision ${String(next.revision)}`;
  const detail = `The journal is not whole: an entry is missing after ${after}.`;
  return new UnreadableJournalError('', detail);
}
