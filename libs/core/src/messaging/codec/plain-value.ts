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

/** The deepest level allowed; a parser somewhere else could overflow its stack with more. */
export const MAX_DEPTH = 512;
/**
 * Levels that a journal entry, a letter or a reply adds around a value. A value that was accepted must
 * not be refused when it is wrapped, because other code already relies on it then.
 */
const WRAPPING = 8;

/** How strictly a value is checked. */
export interface PlainRules {
  readonly deepest: number;
  /**
   * Whether a class instance may have methods. The value that is read back lacks them, which matters
   * if the reader expects an instance of the class.
   */
  readonly methods: boolean;
  /**
   * Whether to look for properties that JSON leaves out. A value that was read from JSON has none, and
   * for a list of 100,000 numbers the search takes 12 ms.
   */
  readonly hidden: boolean;
}

/** The rules for values that are sent to others, who only know the data. */
export const SENT: PlainRules = { deepest: MAX_DEPTH, methods: true, hidden: true };
/**
 * The rules for values that come back to the same class: a saga's input and the results of its steps.
 */
export const KEPT: PlainRules = { deepest: MAX_DEPTH, methods: false, hidden: true };
/** The rules for values that Sagaz has wrapped after checking them. */
export const WRAPPED: PlainRules = {
  deepest: MAX_DEPTH + WRAPPING,
  methods: true,
  hidden: false,
};

/** Checks an array: JSON writes its elements and nothing else. */
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

/** Checks an object: JSON writes the enumerable properties whose names are strings, and nothing else. */
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
      // An optional property of TypeScript may be undefined, which reads the same as an absent one.
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
    // A proxy that was revoked throws here.
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

/**
 * The path to the place where the value first contains itself; searched only if the value was found
 * too deep.
 */
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
 * Refuses a value that JSON would change, or of which it would leave out a part. A class instance
 * without `toJSON` is accepted if the rules allow methods: its own properties are its data, and it is
 * read back as a plain object.
 *
 * @throws UnserializableValueError, also if the value throws another error when it is read
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
    // A getter may throw only when it is read again, and the text may be longer than JavaScript
    // allows.
    throw refused(unreadable(error));
  }
}

/**
 * Refuses a value only if it throws when it is read. Called after something else failed with the
 * value.
 *
 * @throws UnserializableValueError
 */
export function assertReadable(value: unknown): void {
  const found = inValue(value, 1, SENT);
  if (found !== undefined && found.thrown !== null) throw refused(found);
}

/**
 * Reads `then` as `await` does, so that the error of a value that throws there names the value as its
 * reason.
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
