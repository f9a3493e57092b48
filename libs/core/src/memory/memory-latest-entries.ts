import {
  LATEST_DATA_CHARACTERS,
  type LatestEntriesLook,
  type RecordedEntry,
} from '../ports/index.js';

/** The newest entry of each kind, step and item of each journal that is there, in order. */
export function latestEntries(
  journals: ReadonlyMap<string, readonly RecordedEntry[]>,
  look: LatestEntriesLook,
): ReadonlyMap<string, readonly RecordedEntry[]> {
  return new Map(
    look.ids.flatMap((id) => {
      const journal = journals.get(id);
      return journal === undefined ? [] : [[id, newestOfEach(journal, look)] as const];
    }),
  );
}

function newestOfEach(
  journal: readonly RecordedEntry[],
  { transitions, dataOf }: LatestEntriesLook,
): readonly RecordedEntry[] {
  const last = journal.at(-1)?.revision ?? 0;
  const newest = new Map<string, RecordedEntry>();
  for (const entry of journal) {
    if (entry.revision <= last - transitions) continue;
    const key = JSON.stringify([entry.kind, entry.step, entry.item]);
    // Set again, it would keep the place of the older entry.
    newest.delete(key);
    newest.set(key, entry);
  }
  return [...newest.values()].map((entry) => ({
    ...entry,
    data: dataOf.includes(entry.kind) ? beginningOf(entry.data) : null,
  }));
}

/** Counts code points, as a database counts characters. */
function beginningOf(data: string | null): string | null {
  if (data === null || data.length <= LATEST_DATA_CHARACTERS) return data;
  const points = Array.from(data.slice(0, 2 * LATEST_DATA_CHARACTERS));
  return points.slice(0, LATEST_DATA_CHARACTERS).join('');
}
