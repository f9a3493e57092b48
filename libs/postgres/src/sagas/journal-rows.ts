import { isLarge, UNREADABLE_ENTRY, type JournalEntry, type RecordedEntry } from '@sagaz/core';

/** A row of the journal. */
export interface JournalRow {
  readonly saga_id: string;
  readonly revision: number;
  readonly transition_id: string;
  readonly entries: string;
  readonly recorded_at: number;
}

/** Data that lies apart from its row of the journal. */
export interface OutputRow {
  readonly saga_id: string;
  readonly revision: number;
  readonly ordinal: number;
  /** Null: it is left in the store, since it is read on demand. */
  readonly data: string | null;
  readonly bytes: number;
}

/** An entry as its row has it. */
interface WrittenEntry extends Omit<JournalEntry, 'onDemand'> {
  /** Whether its data lies apart from the journal. */
  readonly apart: boolean;
}

/** Whether entries have data that is kept apart from the journal. */
export function hasOutputs(entries: readonly JournalEntry[]): boolean {
  return entries.some(({ data }) => isLarge(data));
}

/**
 * The entries of a transition as the text of one row: a JSON array of [kind, step, attempt, length, data],
 * and of [kind, step, item, attempt, length, data] where the step has items. The data is JSON already and stands in it as it is. Its length says where it ends, so that it is read
 * back unchanged and without being parsed. Large data is left out.
 */
export function entriesText(entries: readonly JournalEntry[]): string {
  const texts = entries.map(({ kind, step, item, attempt, data }) => {
    const named =
      item === null ? JSON.stringify(step) : `${JSON.stringify(step)},${JSON.stringify(item)}`;
    const head = `${JSON.stringify(kind)},${named},${String(attempt)}`;
    if (data === null) return `[${head}]`;
    const length = String(data.length);
    return isLarge(data) ? `[${head},${length}]` : `[${head},${length},${data}]`;
  });
  return `[${texts.join(',')}]`;
}

/** The arrays of large data, by place: place, ordinal, data, whether it is read on demand. */
export function outputArrays(
  entriesByPlace: readonly (readonly JournalEntry[])[],
): readonly [places: number[], ordinals: number[], data: string[], onDemand: boolean[]] {
  const [places, ordinals, data]: [number[], number[], string[]] = [[], [], []];
  const onDemand: boolean[] = [];
  for (const [at, entries] of entriesByPlace.entries()) {
    for (const [ordinal, entry] of entries.entries()) {
      if (entry.data === null || !isLarge(entry.data)) continue;
      places.push(at + 1);
      ordinals.push(ordinal);
      data.push(entry.data);
      onDemand.push(entry.onDemand === true);
    }
  }
  return [places, ordinals, data, onDemand];
}

/**
 * The entries of rows, by saga, in order. Damaged text is an entry of a kind that nobody knows.
 *
 * @param outputsOf reads the data of these sagas that lies apart
 */
export async function entriesOf(
  rows: readonly JournalRow[],
  outputsOf: (sagas: readonly string[]) => Promise<readonly OutputRow[]>,
): Promise<ReadonlyMap<string, readonly RecordedEntry[]>> {
  const written = rows.map((row) => ({ row, entries: writtenEntries(row.entries) }));
  const sagas = new Set(
    written.flatMap(({ row, entries }) =>
      entries.some(({ apart }) => apart) ? [row.saga_id] : [],
    ),
  );
  const outputs = sagas.size === 0 ? [] : await outputsOf([...sagas]);
  const byPlace = new Map(outputs.map((output) => [placeOf(output, output.ordinal), output]));
  const bySaga = new Map<string, RecordedEntry[]>();
  for (const { row, entries } of written) {
    const known = bySaga.get(row.saga_id);
    const list = known ?? [];
    if (known === undefined) bySaga.set(row.saga_id, list);
    for (const [ordinal, { apart, ...inline }] of entries.entries()) {
      const output = apart ? byPlace.get(placeOf(row, ordinal)) : undefined;
      const missing = apart && output === undefined;
      const entry = missing ? unreadable('Its row of saga_output is missing.') : inline;
      list.push({
        kind: entry.kind,
        step: entry.step,
        item: entry.item,
        attempt: entry.attempt,
        data: output?.data ?? entry.data,
        revision: row.revision,
        ordinal,
        transitionId: row.transition_id,
        recordedAt: new Date(row.recorded_at),
        ...(output?.data === null ? { apart: output.bytes } : {}),
      });
    }
  }
  return bySaga;
}

const TEXT = '"(?:[^"\\\\]|\\\\.)*"';
/** An entry up to its data, as {@link entriesText} writes it. */
const HEAD = new RegExp(
  `\\[(${TEXT}),(${TEXT}|null)(?:,(${TEXT}))?,(\\d+)(?:,(\\d+))?([,\\]])`,
  'y',
);

function writtenEntries(text: string): readonly WrittenEntry[] {
  try {
    return scannedEntries(text) ?? mendedEntries(text);
  } catch {
    // A label that is no JSON.
    return mendedEntries(text);
  }
}

/** The entries of text as {@link entriesText} writes it; null if it is otherwise. */
function scannedEntries(text: string): readonly WrittenEntry[] | null {
  const entries: WrittenEntry[] = [];
  let at = 1;
  while (at < text.length) {
    HEAD.lastIndex = at;
    const head = HEAD.exec(text);
    if (head === null) return null;
    const [whole, kind = '', step = '', item = 'null', attempt, length, next] = head;
    at += whole.length;
    let data: string | null = null;
    if (next === ',') {
      const end = at + Number(length);
      data = text.slice(at, end);
      if (text[end] !== ']') return null;
      at = end + 1;
    }
    const apart = length !== undefined && data === null;
    entries.push({ ...labelsOf(kind, step, item), attempt: Number(attempt), data, apart });
    if (text[at] !== ',' && (text[at] !== ']' || at !== text.length - 1)) return null;
    at += 1;
  }
  return entries;
}

/** The entries of text that a person has mended: JSON, but with lengths that are no longer right. */
function mendedEntries(text: string): readonly WrittenEntry[] {
  let entries: unknown;
  try {
    entries = JSON.parse(text);
  } catch {
    entries = null;
  }
  if (!Array.isArray(entries)) return [unreadable(text)];
  return entries.map((entry: unknown): WrittenEntry => {
    const fields: readonly unknown[] = Array.isArray(entry) ? entry : [];
    const item = typeof fields[2] === 'string' ? fields[2] : null;
    const [kind, step, attempt, , data] = item === null ? fields : fields.toSpliced(2, 1);
    const named = typeof step === 'string' || step === null;
    if (typeof kind !== 'string' || !named || typeof attempt !== 'number') {
      return unreadable(JSON.stringify(entry));
    }
    const inline = data === undefined ? null : JSON.stringify(data);
    return {
      kind,
      step,
      item,
      attempt,
      data: inline,
      apart: fields.length === (item === null ? 4 : 5),
    };
  });
}

/** The texts of kinds, steps and items in JSON, and what they stand for: most come again and again. */
const LABELS = new Map<string, string | null>([['null', null]]);
const MOST_LABELS = 10_000;

function labelsOf(
  kind: string,
  step: string,
  item: string,
): Pick<JournalEntry, 'kind' | 'step' | 'item'> {
  return { kind: labelOf(kind) ?? '', step: labelOf(step), item: labelOf(item) };
}

function labelOf(json: string): string | null {
  const known = LABELS.get(json);
  if (known !== undefined) return known;
  const label = String(JSON.parse(json));
  if (LABELS.size < MOST_LABELS) LABELS.set(json, label);
  return label;
}

function unreadable(text: string): WrittenEntry {
  return {
    kind: UNREADABLE_ENTRY,
    step: null,
    item: null,
    attempt: 0,
    data: JSON.stringify(text),
    apart: false,
  };
}

function placeOf(row: Pick<OutputRow, 'saga_id' | 'revision'>, ordinal: number): string {
  return `${row.saga_id}:${String(row.revision)}:${String(ordinal)}`;
}
