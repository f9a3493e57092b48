import type { RecordedEntry, SagaStore } from '../../ports/index.js';

/** The last entries of journals, by number, as a store could show them that reads no further. */
export async function tails(
  sagas: Pick<SagaStore, 'history'>,
  ids: readonly string[],
  shown: (entry: RecordedEntry) => RecordedEntry,
): Promise<ReadonlyMap<string, readonly RecordedEntry[]>> {
  const tail = async (id: string): Promise<readonly RecordedEntry[]> =>
    (await sagas.history(id)).slice(-60).map(shown);
  return new Map(await Promise.all(ids.map(async (id) => [id, await tail(id)] as const)));
}
