import { UnserializableValueError } from './errors.js';
import {
  AS_LIST,
  AS_OBJECT,
  AS_TEXT,
  LEAVE_OUT,
  finding,
  inClass,
  inNumber,
  inOwnNames,
  inSymbols,
  inToJson,
  inUncommonObject,
  unreadable,
  type Finding,
} from './findings.js';

/** Deeper values are refused: somewhere on their way a parser would run out of stack. */
export const MAX_DEPTH = 512;
/**
 * Levels that an entry, a letter or a reply puts around a value. A value that was taken must not be
 * refused where it is wrapped, and by then shared with others.
 */
const WRAPPING = 8;

/** How strictly a value is looked at. */
export interface PlainRules {
  readonly deepest: number;
  /**
   * Whether a class instance may have methods. They are lost where it is read back, which matters
   * wherever the reader's type is the class.
   */
  readonly methods: boolean;
  /**
   * Whether to look for properties that JSON leaves out. Of what was read from JSON there are none, and
   * for a list of 100,000 numbers the look takes 12 ms.
   */
  readonly hidden: boolean;
}

/** What goes to others, who know its data only. */
export const SENT: PlainRules = { deepest: MAX_DEPTH, methods: true, hidden: true };
/** What comes back to the same class: a saga's input, a step's result. */
export const KEPT: PlainRules = { deepest: MAX_DEPTH, methods: false, hidden: true };
/** What Sagaz puts around values that were looked at before. */
export const WRAPPED: PlainRules = {
  deepest: MAX_DEPTH + WRAPPING,
  methods: true,
  hidden: false,
};

/** JSON writes the elements of an array and nothing else. */
function inArray(value: readonly unknown[], depth: number, rules: PlainRules): Finding | undefined {
  let at: number | null = null;
  try {
    const found = inToJson(value) ?? (rules.methods ? undefined : inClass(value, AS_LIST));
    if (found !== undefined) return found;
    for (let i = 0; i < value.length; i += 1) {
      at = i;
      const item = value[i];
      const problem =
        item === undefined
          ? finding(i in value ? 'undefined in an array' : 'a hole in an array', 'Use null.')
          : inValue(item, depth, rules);
      if (problem !== undefined) return within(i, problem);
    }
    if (!rules.hidden) return undefined;
    at = null;
    return inOwnNames(value, value.length + 1) ?? inSymbols(value, 'an array');
  } catch (error) {
    return at === null ? unreadable(error) : within(at, unreadable(error));
  }
}

/** JSON writes the enumerable properties of an object whose names are strings, and nothing else. */
function inMembers(value: object, depth: number, rules: PlainRules): Finding | undefined {
  let at: string | null = null;
  try {
    const prototype: unknown = Object.getPrototypeOf(value);
    const found =
      (prototype === Object.prototype || prototype === null
        ? inToJson(value)
        : inUncommonObject(value)) ??
      (rules.methods || prototype === Object.prototype ? undefined : inClass(value, AS_OBJECT));
    if (found !== undefined) return found;
    const keys = Object.keys(value);
    for (const key of keys) {
      at = key;
      const item = (value as Readonly<Record<string, unknown>>)[key];
      // What an optional property of TypeScript leaves: absent and undefined read the same.
      if (item === undefined) continue;
      const problem = inValue(item, depth + 1, rules);
      if (problem !== undefined) return within(key, problem);
    }
    if (!rules.hidden) return undefined;
    at = null;
    return inOwnNames(value, keys.length) ?? inSymbols(value, 'an object');
  } catch (error) {
    return at === null ? unreadable(error) : within(at, unreadable(error));
  }
}

function within(key: string | number, found: Finding): Finding {
  found.path.push(key);
  return found;
}

function inObject(value: object, depth: number, rules: PlainRules): Finding | undefined {
  if (depth > rules.deepest) {
    return finding(
      `nested more than ${rules.deepest} levels deep`,
      'Flatten it, or send it in parts.',
    );
  }
  let list: boolean;
  try {
    list = Array.isArray(value);
  } catch (error) {
    // A proxy that was revoked.
    return unreadable(error);
  }
  return list
    ? inArray(value as readonly unknown[], depth + 1, rules)
    : inMembers(value, depth, rules);
}

function inValue(value: unknown, depth: number, rules: PlainRules): Finding | undefined {
  switch (typeof value) {
    case 'string':
    case 'boolean':
      return undefined;
    case 'number':
      return inNumber(value);
    case 'object':
      return value === null ? undefined : inObject(value, depth, rules);
    case 'undefined':
      return finding('undefined', LEAVE_OUT);
    case 'bigint':
      return finding(`the bigint ${value}n`, AS_TEXT);
    case 'function':
      return finding('a function', LEAVE_OUT);
    case 'symbol':
      return finding('a symbol', AS_TEXT);
  }
}

/** The way to where the value first reaches itself; asked only once it was found too deep. */
function circleIn(
  value: unknown,
  path: readonly (string | number)[],
): readonly (string | number)[] | undefined {
  const seen = new Set<unknown>();
  let current = value;
  for (const [length, key] of path.entries()) {
    if (seen.has(current)) return path.slice(0, length);
    seen.add(current);
    if (typeof current !== 'object' || current === null) return undefined;
    current = (current as Readonly<Record<string | number, unknown>>)[key];
  }
  return undefined;
}

function written(path: readonly (string | number)[]): string {
  let text = '$';
  for (const key of path.slice(0, 20)) {
    if (typeof key === 'number') text += `[${key}]`;
    else text += /^[A-Za-z_$][\w$]*$/.test(key) ? `.${key}` : `[${JSON.stringify(key)}]`;
  }
  return path.length > 20 ? `${text}…` : text;
}

/**
 * Refuses what JSON would bend, or leave out in silence. A class instance without `toJSON` passes where
 * its methods are not missed: its own properties are its data, and it is read back as a plain object.
 *
 * @throws UnserializableValueError, whatever the value does when it is looked at
 */
export function assertPlain(value: unknown, rules: PlainRules): void {
  const found = inValue(value, 1, rules);
  if (found === undefined) return;
  const path = found.path.toReversed();
  const circle = path.length >= MAX_DEPTH ? circleIn(value, path) : undefined;
  if (circle !== undefined) {
    throw new UnserializableValueError(
      written(circle),
      'part of a circle of objects',
      'Send the ids of what it refers to.',
    );
  }
  throw refused(found);
}

/**
 * A value as JSON text.
 *
 * @throws UnserializableValueError
 */
export function plainText(value: unknown, rules: PlainRules): string {
  assertPlain(value, rules);
  try {
    return JSON.stringify(value);
  } catch (error) {
    // A getter that answers the first time only, or a text beyond the longest of JavaScript.
    throw refused(unreadable(error));
  }
}

/**
 * Refuses a value that throws when it is read, and no other. Asked once something else failed on a value.
 *
 * @throws UnserializableValueError
 */
export function assertReadable(value: unknown): void {
  const found = inValue(value, 1, SENT);
  if (found !== undefined && found.thrown !== null) throw refused(found);
}

/**
 * Reads `then`, as `await` does: of a value that throws at that, the reader learns that it is the value.
 *
 * @throws UnserializableValueError
 */
export function assertAwaitable(value: unknown): void {
  if (typeof value !== 'object' || value === null) return;
  try {
    Reflect.get(value, 'then');
  } catch (error) {
    throw refused(unreadable(error));
  }
}

function refused({ path, found, remedy, thrown }: Finding): UnserializableValueError {
  const options = thrown === null ? {} : { cause: thrown.error };
  return new UnserializableValueError(written(path.toReversed()), found, remedy, options);
}
