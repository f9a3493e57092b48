import {
  POSITION_LOOK,
  historyData,
  positionOf,
  type RecordedEntry,
  type SagaPosition,
  type SagaStatus,
  type SagaStore,
  type SagaSummary,
} from '@sagaz/core';

/** A saga for people to read: its status, its position, and the events it waits for. */
export interface SagaView extends SagaSummary, SagaPosition {}

/**
 * One thing that happened to a saga. docs/reference/journal.md lists the kinds and the data of each.
 */
export interface SagaHistoryEntry extends Omit<RecordedEntry, 'data'> {
  /** The decoded data of the entry; null: it has none. */
  readonly data: unknown;
}

/**
 * How many sagas' journals are read at a time, so that a page of a thousand sagas needs little memory.
 */
const AT_ONCE = 50;

/**
 * Adds the position of each saga. For sagas that have completed or not begun, no journal has to be
 * read.
 */
export async function viewsOf(
  store: Pick<SagaStore, 'latestEntries'>,
  sagas: readonly SagaSummary[],
): Promise<readonly SagaView[]> {
  const views: SagaView[] = [];
  for (let at = 0; at < sagas.length; at += AT_ONCE) {
    const some = sagas.slice(at, at + AT_ONCE);
    const ids = some.filter(({ status }) => LOOKED_AT[status]).map(({ id }) => id);
    const look = { ids, ...POSITION_LOOK };
    const entries = ids.length === 0 ? null : await store.latestEntries(look);
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
