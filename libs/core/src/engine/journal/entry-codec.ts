import { parseJournal, recordText } from '../../messaging/index.js';
import {
  isLarge,
  UNREADABLE_ENTRY,
  type JournalEntry,
  type RecordedEntry,
} from '../../ports/index.js';
import { TASK_FORMATS, WHOLE_FORMATS } from './entry-format.js';
import { damagedField, isKnown, isObject } from './entry-shape.js';
import { StoredOutput } from './stored-output.js';
import { UnreadableJournalError } from './unreadable-journal.error.js';
import { ROLES, type Role, type SagaEntry } from './saga-entry.js';

/**
 * The written kinds of task entries, such as `step_started`, and the role and kind that each stands
 * for.
 */
const WRITTEN = new Map<string, { readonly role: Role; readonly kind: string }>(
  ROLES.flatMap((role) =>
    Object.keys(TASK_FORMATS).map((kind) => [`${role}_${kind}`, { role, kind }] as const),
  ),
);

/**
 * Encodes an entry in the form in which stores keep it.
 *
 * @throws UnserializableValueError when an output is no plain data
 */
export function encodeEntry(entry: SagaEntry): JournalEntry {
  if ('role' in entry) {
    const { kind, role, step, item, attempt, ...rest } = entry;
    const data = textOf(rest);
    const whole = { kind: `${role}_${kind}`, step, item, attempt, data };
    // An output is needed by the steps that ask for it, and not to go on with the saga.
    return 'output' in rest && isLarge(data) ? { ...whole, onDemand: true } : whole;
  }
  const { kind, ...rest } = entry;
  const data = kind === 'saga_ended' ? endData(entry) : rest;
  return { kind, step: null, item: null, attempt: 0, data: textOf(data) };
}

/** An output of the saga that is in the store already is not stored again: its place stands for it. */
function endData(entry: Extract<SagaEntry, { kind: 'saga_ended' }>): object {
  const { kind: _, status, output, ...others } = entry;
  if (!(output instanceof StoredOutput)) return { status, output, ...others };
  const { revision, ordinal, bytes } = output;
  return { status, outputAt: { revision, ordinal, bytes }, ...others };
}

function textOf(data: object): string | null {
  for (const _ in data) return recordText('error' in data ? errorLast(data) : data);
  return null;
}

/**
 * Lists of sagas read only the beginning of long data. An error may be long, so the other fields stand
 * before it.
 */
function errorLast({ error, ...others }: { readonly error: unknown }): object {
  return { ...others, error };
}

/**
 * Decodes an entry from a store.
 * @throws UnreadableJournalError for a kind that this version does not know, or data that the kind
 * cannot have
 */
export function decodeEntry(entry: JournalEntry | RecordedEntry): SagaEntry {
  if (entry.kind === UNREADABLE_ENTRY) {
    const text = String(parseJournal(entry.data)).slice(0, 200);
    throw new UnreadableJournalError(entry.kind, `Its row is damaged: ${text}`);
  }
  const data = dataOf(entry);
  if (!isObject(data)) throw new UnreadableJournalError(entry.kind, 'Its data is no object.');
  const task = WRITTEN.get(entry.kind);
  const decoded: unknown =
    task === undefined
      ? { ...data, kind: entry.kind }
      : { ...data, ...taskOf(entry), kind: task.kind, role: task.role };
  if (!isEntry(decoded, task !== undefined) || !isKnown(decoded.kind, data)) {
    throw new UnreadableJournalError(
      entry.kind,
      'This version of Sagaz does not know its kind, or what it waits for.',
      {
        remedy: 'Run sagas on the version that wrote it, or a newer one.',
      },
    );
  }
  const damaged =
    task !== undefined && entry.step === null ? 'step' : damagedField(decoded.kind, data);
  if (damaged !== null) {
    throw new UnreadableJournalError(entry.kind, `It has no '${damaged}' of the right kind.`);
  }
  return decoded;
}

/** The data of an entry, with the place of an output in the store where its value would stand. */
function dataOf(entry: JournalEntry | RecordedEntry): unknown {
  if ('apart' in entry) return { output: StoredOutput.of(entry) };
  const data = parseJournal(entry.data) ?? {};
  if (entry.kind !== 'saga_ended' || !isObject(data)) return data;
  const { outputAt, ...rest } = data;
  if (!isObject(outputAt)) return data;
  const { revision, ordinal, bytes } = outputAt;
  if ([revision, ordinal, bytes].some((one) => typeof one !== 'number')) {
    throw new UnreadableJournalError(entry.kind, `It has no 'outputAt' of the right kind.`);
  }
  return { ...rest, output: new StoredOutput(Number(revision), Number(ordinal), Number(bytes)) };
}

function taskOf({ step, item, attempt }: Pick<JournalEntry, 'step' | 'item' | 'attempt'>): object {
  return { step, item, attempt };
}

/**
 * Whether the value is an entry. Only its kind is checked here; {@link damagedField} checks its fields.
 */
function isEntry(value: unknown, task: boolean): value is SagaEntry {
  if (typeof value !== 'object' || value === null || !('kind' in value)) return false;
  return task || (typeof value.kind === 'string' && Object.hasOwn(WHOLE_FORMATS, value.kind));
}
