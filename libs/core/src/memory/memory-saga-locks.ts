import type { JournalEntry, NewSaga, OutboxMessage } from '../ports/index.js';
import { lockOfKey } from './memory-queue-append.js';

const NOT_STORABLE = /\0|[\uD800-\uDFFF]/u;

/** What a database answers to a text that it cannot hold. */
export function refusal(
  entries: readonly JournalEntry[],
): { kind: 'rejected'; error: unknown } | null {
  for (const { kind, data } of entries) {
    if (data === null || !NOT_STORABLE.test(data)) continue;
    return { kind: 'rejected', error: new Error(`The data of "${kind}" is no text.`) };
  }
  return null;
}

/** The locks that put messages in order, as publishers take them. */
export function placesOf(messages: readonly OutboxMessage[]): readonly string[] {
  const ordered = messages.filter(({ ordered, delayMs }) => ordered && delayMs <= 0);
  return [...new Set(ordered.map(lockOfKey))].sort();
}

/** Sagas without a key are unique by their id. */
export function keyOf(saga: NewSaga): string {
  return saga.key === null ? `id\0${saga.id}` : `${saga.tenant}\0${saga.name}\0${saga.key}`;
}

/** What a start locks, as unique indexes do: its key, and its id. */
export function locksOf(saga: NewSaga): readonly string[] {
  return [...new Set([keyOf(saga), `id\0${saga.id}`])].map((name) => `saga-key:${name}`);
}
