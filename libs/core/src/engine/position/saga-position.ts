import { recordMessage, type ErrorRecord } from '../../errors/index.js';
import { parseJournal } from '../../messaging/index.js';
import type { RecordedEntry } from '../../ports/index.js';
import { ROLES, type Role } from '../journal/index.js';

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
  readonly role: Role;
  readonly attempt: number;
  readonly since: Date;
  readonly waitsFor: WaitsFor;
}

/** The position of a saga, computed from the last entries of its journal. */
export interface SagaPosition {
  /**
   * Why a person must act (as in the journal: `compensation_failed`, …); otherwise why the saga does not go
   * forward any more (`step_failed`, `cancelled`, `deadline`); null: nothing is wrong.
   */
  readonly reason: string | null;
  /** The reason in words; null: there is nothing to add. */
  readonly detail: string | null;
  /** The step that the reason is about; null: there is none, or it is about the whole saga. */
  readonly step: string | null;
  /** The tasks that are not done, oldest first, as far as the entries show. */
  readonly waitsFor: readonly TaskPosition[];
}

/** How many of the last entries are read. A task leaves two or three for each attempt. */
export const POSITION_ENTRIES = 60;

const TASK = new RegExp(`^(${ROLES.join('|')})_(.+)$`);

/**
 * Computes the position from entries as they are in the store, some of which a later version may have
 * written.
 */
export function positionOf(entries: readonly RecordedEntry[]): SagaPosition {
  const tasks = new Map<string, TaskPosition>();
  let why: Omit<SagaPosition, 'waitsFor'> = NOTHING;
  let gaveUp: string | null = null;
  for (const entry of entries) {
    const data = dataOf(entry);
    const [, role, kind = ''] = TASK.exec(entry.kind) ?? [];
    if (role !== undefined && entry.step !== null) {
      const key = `${role} ${entry.step}`;
      const next = waitsFor(kind, data, entry.recordedAt);
      if (next === null) tasks.delete(key);
      else if (isRole(role)) tasks.set(key, positionAt(entry, role, entry.step, next));
      if (kind === 'failed' || kind === 'unknown') {
        gaveUp = entry.step;
        // The first failure is the reason; failures while the saga undoes have entries of their own.
        if (role === 'step' && why.reason === null) {
          why = { reason: 'step_failed', detail: errorIn(data), step: entry.step };
        }
      } else if (kind === 'completed' && role === 'recovery' && why.step === entry.step) {
        why = NOTHING;
      }
    } else why = reasonAfter(why, entry, data, gaveUp);
    if (entry.kind === 'saga_ended') tasks.clear();
  }
  return { ...why, waitsFor: [...tasks.values()] };
}

const NOTHING = { reason: null, detail: null, step: null } as const;

function positionAt(
  { attempt, recordedAt: since }: RecordedEntry,
  role: Role,
  step: string,
  next: WaitsFor,
): TaskPosition {
  return { step, role, attempt, since, waitsFor: next };
}

/** The event that follows an entry of this kind; null: none follows by itself. */
function waitsFor(kind: string, data: Data, at: Date): WaitsFor | null {
  switch (kind) {
    case 'started':
      return { kind: 'attempt' };
    case 'sent':
      return {
        kind: 'reply',
        command: textIn(data, 'type') ?? '',
        until: later(at, numberIn(data, 'timeoutMs')),
      };
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

function reasonAfter(
  before: Omit<SagaPosition, 'waitsFor'>,
  entry: RecordedEntry,
  data: Data,
  gaveUp: string | null,
): Omit<SagaPosition, 'waitsFor'> {
  switch (entry.kind) {
    case 'needs_attention': {
      const reason = textIn(data, 'reason');
      const ofStep = reason === 'compensation_failed' || reason === 'recovery_failed';
      const step = ofStep || reason === 'pivot_unknown' ? gaveUp : null;
      return { reason, detail: textIn(data, 'detail'), step };
    }
    case 'retry_requested':
      return NOTHING;
    case 'failing':
      return failureOf(data['failure']);
    default:
      return before;
  }
}

function failureOf(failure: unknown): Omit<SagaPosition, 'waitsFor'> {
  if (!isData(failure)) return NOTHING;
  switch (failure['kind']) {
    case 'step':
      return { reason: 'step_failed', detail: errorIn(failure), step: textIn(failure, 'step') };
    case 'cancelled':
      return { reason: 'cancelled', detail: textIn(failure, 'reason'), step: null };
    case 'deadline':
      return { reason: 'deadline', detail: null, step: null };
    default:
      return NOTHING;
  }
}

type Data = Readonly<Record<string, unknown>>;

function dataOf({ data }: RecordedEntry): Data {
  const parsed = historyData(data);
  return isData(parsed) ? parsed : {};
}

/**
 * Decodes the data of an entry. Returns the text itself if it is damaged, since people read damaged
 * journals, too.
 */
export function historyData(text: string | null): unknown {
  if (text === null) return null;
  try {
    return parseJournal(text);
  } catch {
    return text;
  }
}

function isData(value: unknown): value is Data {
  return typeof value === 'object' && value !== null;
}

function isRole(text: string): text is Role {
  return ROLES.some((role) => role === text);
}

function textIn(data: Data, name: string): string | null {
  const value = data[name];
  return typeof value === 'string' ? value : null;
}

function numberIn(data: Data, name: string): number {
  const value = data[name];
  return typeof value === 'number' && Number.isFinite(value) ? value : 0;
}

function errorIn(data: Data): string | null {
  const error = data['error'];
  return isRecord(error) ? recordMessage(error) : null;
}

function isRecord(value: unknown): value is ErrorRecord {
  return isData(value) && typeof value['message'] === 'string';
}

function later(at: Date, ms: number): Date {
  return new Date(at.getTime() + ms);
}
