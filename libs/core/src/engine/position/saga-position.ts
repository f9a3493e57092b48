import type { LatestEntriesLook, RecordedEntry } from '../../ports/index.js';
import { isRole, ROLES, type Role } from '../journal/index.js';
import { entryData, errorIn, isData, numberIn, textIn, type EntryData } from './entry-data.js';
import { ReasonFinder, type SagaReason } from './saga-reason.js';

/** The event that a task waits for that is not done. */
export type WaitsFor =
  /**
   * The end of a running attempt. Its process may also have died without an engine having noticed that
   * yet.
   */
  | { readonly kind: 'attempt' }
  /** The reply to a command. `until`: when it counts as missing. */
  | { readonly kind: 'reply'; readonly command: string; readonly until: Date }
  /** The next attempt. `error`: that of the last one; null if its process died. */
  | { readonly kind: 'next_attempt'; readonly at: Date; readonly error: string | null };

/** A task of a saga that is not done, and the event that it waits for. */
export interface TaskPosition {
  readonly step: string;
  /** The item of the step; null: the step has none. */
  readonly item: string | null;
  readonly role: Role;
  readonly attempt: number;
  readonly since: Date;
  readonly waitsFor: WaitsFor;
}

/** The position of a saga, computed from the newest entries of its journal. */
export interface SagaPosition extends SagaReason {
  /** The tasks that are not done, in the order in which they began to wait, as far as entries show. */
  readonly waitsFor: readonly TaskPosition[];
}

/** The entries of a journal that {@link positionOf} needs. */
export const POSITION_LOOK: Omit<LatestEntriesLook, 'ids'> = {
  // An attempt makes two or three. Twenty-five commands that use up all attempts of a compensation make
  // nine hundred.
  transitions: 1_000,
  dataOf: [
    ...ROLES.flatMap((role) => [`${role}_waiting`, `${role}_attempt_failed`, `${role}_crashed`]),
    'step_failed',
    'step_unknown',
    'failing',
    'needs_attention',
    'retry_requested',
  ],
};

const TASK = new RegExp(`^(${ROLES.join('|')})_(.+)$`);

/**
 * Computes the position from entries as they are in the store, some of which a later version may have
 * written. The newest entry of each kind, step and item is enough, and of data the first characters.
 */
export function positionOf(entries: readonly RecordedEntry[]): SagaPosition {
  const tasks = new Map<string, TaskPosition>();
  const reason = new ReasonFinder();
  for (const entry of entries) {
    const data = entryData(entry);
    const { step, item, attempt, recordedAt: since } = entry;
    const [, role = '', kind = ''] = TASK.exec(entry.kind) ?? [];
    if (step !== null && isRole(role)) {
      const task = JSON.stringify([role, step, item]);
      // A late success is of an earlier attempt, so the task still waits for what it waited for.
      if (kind !== 'late_success') {
        const next = waitsFor(kind, data, since);
        tasks.delete(task);
        if (next !== null) tasks.set(task, { step, item, role, attempt, since, waitsFor: next });
      }
      reason.takeTask(kind, { role, step, item }, data);
    } else reason.takeWhole(entry.kind, data);
    if (entry.kind === 'saga_ended') tasks.clear();
  }
  return { ...reason.reason, waitsFor: [...tasks.values()] };
}

/** The event that follows an entry of this kind; null: none follows by itself. */
function waitsFor(kind: string, data: EntryData, at: Date): WaitsFor | null {
  switch (kind) {
    case 'started':
      return { kind: 'attempt' };
    case 'waiting':
      return awaited(data['for'], later(at, numberIn(data, 'timeoutMs')));
    case 'attempt_failed':
    case 'crashed':
      return {
        kind: 'next_attempt',
        at: later(at, numberIn(data, 'delayMs')),
        error: errorIn(data),
      };
    default:
      return null;
  }
}

/** The wait that an entry records; null: a later version has written it. */
function awaited(event: unknown, until: Date): WaitsFor | null {
  if (!isData(event)) return null;
  switch (event['kind']) {
    case 'reply':
      return { kind: 'reply', command: textIn(event, 'type') ?? '', until };
    default:
      return null;
  }
}

function later(at: Date, ms: number): Date {
  return new Date(at.getTime() + ms);
}
