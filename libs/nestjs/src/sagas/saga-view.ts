import {
  POSITION_ENTRIES,
  historyData,
  positionOf,
  type RecordedEntry,
  type SagaPosition,
  type SagaStatus,
  type SagaStore,
  type SagaSummary,
} from '@sagaz/core';

/** A saga as people look at it: where it stands, and what it waits for. */
export interface SagaView extends SagaSummary, SagaPosition {}

/** One thing that happened to a saga; docs/reference/journal.md has the kinds and what each holds. */
export interface SagaHistoryEntry extends Omit<RecordedEntry, 'data'> {
  /** What the entry holds, decoded; null: nothing. */
  readonly data: unknown;
}

/** Journals are read for so many sagas at a time, so that a page of a thousand needs little memory. */
const AT_ONCE = 50;

/** Adds where each of them stands. Sagas that have ended well, or not begun, need no look. */
export async function viewsOf(
  store: Pick<SagaStore, 'latestEntries'>,
  sagas: readonly SagaSummary[],
): Promise<readonly SagaView[]> {
  const views: SagaView[] = [];
  for (let at = 0; at < sagas.length; at += AT_ONCE) {
    const some = sagas.slice(at, at + AT_ONCE);
    const ids = some.filter(({ status }) => LOOKED_AT[status]).map(({ id }) => id);
    const entries = ids.length === 0 ? null : await store.latestEntries(ids, POSITION_ENTRIES);
    views.push(...some.map((saga) => ({ ...saga, ...positionOf(entries?.get(saga.id) ?? []) })));
  }
  return views;
}

const LOOKED_AT: Readonly<Record<SagaStatus, boolean>> = {
  pending: false,
  running: true,
  waiting: true,
  compensating: true,
  completed: false,
  compensated: true,
  partially_committed: true,
  needs_attention: true,
  terminated: true,
};

export function historyOf(entries: readonly RecordedEntry[]): readonly SagaHistoryEntry[] {
  return entries.map((entry) => ({ ...entry, data: historyData(entry.data) }));
}
