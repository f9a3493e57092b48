/** Why a value is refused. */
export interface Finding {
  readonly found: string;
  readonly remedy: string;
  /** What a getter or the trap of a proxy threw, in a box, because it may be `undefined`. */
  readonly thrown: { readonly error: unknown } | null;
  /** Keys from the inside out, added while the walk unwinds: nothing is paid where all is well. */
  readonly path: (string | number)[];
}

export const LEAVE_OUT = 'Leave it out, or use null.';
export const AS_TEXT = 'Send it as a string.';
export const AS_OBJECT = 'Give a plain object of its data: { ...instance }.';
export const AS_LIST =
  'Give its elements, [...list], or an object that holds the list and the rest.';

export function finding(found: string, remedy: string): Finding {
  return { found, remedy, thrown: null, path: [] };
}

/** A value that throws when it is looked at. */
export function unreadable(error: unknown): Finding {
  return {
    found: 'a value that throws when it is read',
    remedy: 'Give plain data, without getters and proxies that throw.',
    thrown: { error },
    path: [],
  };
}

function named(value: object): string {
  const prototype: unknown = Object.getPrototypeOf(value);
  const maker: unknown =
    typeof prototype === 'object' && prototype !== null ? prototype.constructor : undefined;
  const name = typeof maker === 'function' ? maker.name : '';
  if (name === '') return 'an object of an unnamed class';
  return /^[AEIO]/.test(name) ? `an ${name}` : `a ${name}`;
}

export function inNumber(value: number): Finding | undefined {
  if (Number.isFinite(value)) {
    return Object.is(value, -0) ? finding('-0', 'Add 0 to it, which makes it 0.') : undefined;
  }
  return finding(String(value), 'Use null, or a string, for what is no finite number.');
}

/** Objects that JSON would write as something else, or as nothing. */
export function inUncommonObject(value: object): Finding | undefined {
  if (value instanceof Date) return finding('a Date', 'Send date.toISOString().');
  if (value instanceof Map) return finding('a Map', 'Send Object.fromEntries(map) or [...map].');
  if (value instanceof Set) return finding('a Set', 'Send [...set].');
  if (ArrayBuffer.isView(value) || value instanceof ArrayBuffer) {
    return finding(named(value), "Send Buffer.from(bytes).toString('base64').");
  }
  const found = inToJson(value);
  if (found !== undefined) return found;
  // Promise, RegExp, Error, boxed primitives and the like keep their content where JSON does not look.
  const tag = Object.prototype.toString.call(value);
  if (tag !== '[object Object]') return finding(named(value), 'Send a plain object of its data.');
  return undefined;
}

/**
 * Of any object, a plain one or an array too: JSON calls the method, wherever it comes from, and writes
 * what that answers instead of the object.
 */
export function inToJson(value: object): Finding | undefined {
  const { toJSON }: { toJSON?: unknown } = value;
  if (typeof toJSON !== 'function') return undefined;
  return finding(
    `${named(value)} with a toJSON method`,
    'Send the plain value you want to have read.',
  );
}

/** What the classes of an instance give it besides its data, by class: the first name, or null. */
const lost = new WeakMap<object, string | null>();

function lostOf(prototype: object): string | null {
  const known = lost.get(prototype);
  if (known !== undefined) return known;
  let name: string | null = null;
  let level: unknown = prototype;
  // `Array.prototype` is an array itself, also that of another realm.
  while (name === null && typeof level === 'object' && level !== null && !Array.isArray(level)) {
    if (Object.getPrototypeOf(level) === null) break;
    const found = Reflect.ownKeys(level).find((own) => own !== 'constructor');
    name = found === undefined ? null : String(found);
    level = Object.getPrototypeOf(level);
  }
  lost.set(prototype, name);
  return name;
}

export function inClass(value: object, remedy: string): Finding | undefined {
  const prototype: unknown = Object.getPrototypeOf(value);
  if (typeof prototype !== 'object' || prototype === null) return undefined;
  const name = lostOf(prototype);
  if (name === null) return undefined;
  return finding(`${named(value)} whose '${name}' would be missing when it is read back`, remedy);
}

/**
 * Names that JSON leaves out: of an array, all but its elements and its length; of an object, those that
 * are not enumerable. They are looked up only where there are more names than were read.
 */
export function inOwnNames(value: object, read: number): Finding | undefined {
  const names = Object.getOwnPropertyNames(value);
  if (names.length === read) return undefined;
  if (Array.isArray(value)) {
    // The indexes come first.
    const name = names.slice(value.length).find((one) => one !== 'length') ?? '';
    return finding(`an array with the property '${name}' beside its elements`, AS_LIST);
  }
  const name = names.find((one) => !Object.prototype.propertyIsEnumerable.call(value, one)) ?? '';
  return finding(`an object whose property '${name}' is not enumerable`, AS_OBJECT);
}

export function inSymbols(value: object, what: string): Finding | undefined {
  if (Object.getOwnPropertySymbols(value).length === 0) return undefined;
  return finding(`${what} with symbol keys`, 'Use strings as keys.');
}
