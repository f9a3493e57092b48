import { UnserializableValueError } from './errors.js';

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
}

/** What goes to others, who know its data only. */
export const SENT: PlainRules = { deepest: MAX_DEPTH, methods: true };
/** What comes back to the same class: a saga's input, a step's result. */
export const KEPT: PlainRules = { deepest: MAX_DEPTH, methods: false };
/** What Sagaz puts around values that were looked at before. */
export const WRAPPED: PlainRules = { deepest: MAX_DEPTH + WRAPPING, methods: true };

interface Finding {
  readonly found: string;
  readonly remedy: string;
  /** Keys from the inside out, added while the walk unwinds: nothing is paid where all is well. */
  readonly path: (string | number)[];
}

const LEAVE_OUT = 'Leave it out, or use null.';
const AS_TEXT = 'Send it as a string.';

function finding(found: string, remedy: string): Finding {
  return { found, remedy, path: [] };
}

function named(value: object): string {
  const prototype: unknown = Object.getPrototypeOf(value);
  const maker: unknown =
    typeof prototype === 'object' && prototype !== null ? prototype.constructor : undefined;
  const name = typeof maker === 'function' ? maker.name : '';
  if (name === '') return 'an object of an unnamed class';
  return /^[AEIO]/.test(name) ? `an ${name}` : `a ${name}`;
}

function inNumber(value: number): Finding | undefined {
  if (Number.isFinite(value)) {
    return Object.is(value, -0) ? finding('-0', 'Add 0 to it, which makes it 0.') : undefined;
  }
  return finding(String(value), 'Use null, or a string, for what is no finite number.');
}

/** Objects that JSON would write as something else, or as nothing. */
function inUncommonObject(value: object): Finding | undefined {
  if (value instanceof Date) return finding('a Date', 'Send date.toISOString().');
  if (value instanceof Map) return finding('a Map', 'Send Object.fromEntries(map) or [...map].');
  if (value instanceof Set) return finding('a Set', 'Send [...set].');
  if (ArrayBuffer.isView(value) || value instanceof ArrayBuffer) {
    return finding(named(value), "Send Buffer.from(bytes).toString('base64').");
  }
  if ('toJSON' in value && typeof value.toJSON === 'function') {
    return finding(
      `${named(value)} with a toJSON method`,
      'Send the plain value you want to have read.',
    );
  }
  // Promise, RegExp, Error, boxed primitives and the like keep their content where JSON does not look.
  const tag = Object.prototype.toString.call(value);
  if (tag !== '[object Object]') return finding(named(value), 'Send a plain object of its data.');
  return undefined;
}

/** What the classes of an instance give it besides its data, by class: the first name, or null. */
const lost = new WeakMap<object, string | null>();

function lostOf(prototype: object): string | null {
  const known = lost.get(prototype);
  if (known !== undefined) return known;
  let name: string | null = null;
  let level: unknown = prototype;
  while (name === null && typeof level === 'object' && level !== null) {
    if (Object.getPrototypeOf(level) === null) break;
    name = Object.getOwnPropertyNames(level).find((own) => own !== 'constructor') ?? null;
    level = Object.getPrototypeOf(level);
  }
  lost.set(prototype, name);
  return name;
}

function inClass(value: object): Finding | undefined {
  const prototype: unknown = Object.getPrototypeOf(value);
  if (typeof prototype !== 'object' || prototype === null) return undefined;
  const name = lostOf(prototype);
  if (name === null) return undefined;
  return finding(
    `${named(value)} whose '${name}' would be missing when it is read back`,
    'Give a plain object of its data: { ...instance }.',
  );
}

function inArray(value: readonly unknown[], depth: number, rules: PlainRules): Finding | undefined {
  for (let i = 0; i < value.length; i += 1) {
    const item = value[i];
    const found =
      item === undefined
        ? finding(i in value ? 'undefined in an array' : 'a hole in an array', 'Use null.')
        : inValue(item, depth, rules);
    if (found !== undefined) {
      found.path.push(i);
      return found;
    }
  }
  return undefined;
}

function inObject(value: object, depth: number, rules: PlainRules): Finding | undefined {
  if (depth > rules.deepest) {
    return finding(
      `nested more than ${rules.deepest} levels deep`,
      'Flatten it, or send it in parts.',
    );
  }
  if (Array.isArray(value)) return inArray(value, depth + 1, rules);
  const prototype: unknown = Object.getPrototypeOf(value);
  if (prototype !== Object.prototype && prototype !== null) {
    const found = inUncommonObject(value) ?? (rules.methods ? undefined : inClass(value));
    if (found !== undefined) return found;
  }
  for (const key of Object.keys(value)) {
    const item = (value as Readonly<Record<string, unknown>>)[key];
    // What an optional property of TypeScript leaves: absent and undefined read the same.
    if (item === undefined) continue;
    const found = inValue(item, depth + 1, rules);
    if (found !== undefined) {
      found.path.push(key);
      return found;
    }
  }
  if (Object.getOwnPropertySymbols(value).length > 0) {
    return finding('an object with symbol keys', 'Use strings as keys.');
  }
  return undefined;
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
 * Refuses what JSON would bend. A class instance without `toJSON` passes where its methods are not
 * missed: its own enumerable properties are its data, and it is read back as a plain object. Of an array, its elements are.
 *
 * @throws UnserializableValueError
 */
export function assertPlain(value: unknown, rules: PlainRules): void {
  const found = inValue(value, 1, rules);
  if (found === undefined) return;
  const path = found.path.reverse();
  const circle = path.length >= MAX_DEPTH ? circleIn(value, path) : undefined;
  if (circle !== undefined) {
    throw new UnserializableValueError(
      written(circle),
      'part of a circle of objects',
      'Send the ids of what it refers to.',
    );
  }
  throw new UnserializableValueError(written(path), found.found, found.remedy);
}
