/** The reason why a value is refused. */
export interface Finding {
  readonly found: string;
  readonly remedy: string;
  /**
   * The error that a getter or the trap of a proxy threw, in an object, because it may be `undefined`.
   */
  readonly thrown: { readonly error: unknown } | null;
  /**
   * The keys of the path from the inside out. They are added while the search returns, so they cost
   * nothing for a value without problems.
   */
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

/** A value that throws when it is read. */
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

/** Reports objects that JSON would write as something else, or would leave out. */
export function inUncommonObject(value: object): Finding | undefined {
  if (value instanceof Date) return finding('a Date', 'Send date.toISOString().');
  if (value instanceof Map) return finding('a Map', 'Send Object.fromEntries(map) or [...map].');
  if (value instanceof Set) return finding('a Set', 'Send [...set].');
  if (ArrayBuffer.isView(value) || value instanceof ArrayBuffer) {
    return finding(named(value), "Send Buffer.from(bytes).toString('base64').");
  }
  const found = inToJson(value);
  if (found !== undefined) return found;
  // A Promise, RegExp, Error, boxed primitive and the like has its content in places that JSON does
  // not read.
  const tag = Object.prototype.toString.call(value);
  if (tag !== '[object Object]') return finding(named(value), 'Send a plain object of its data.');
  return undefined;
}

/**
 * Reports a `toJSON` method of any object, a plain one or an array too: JSON calls the method,
 * wherever it is defined, and writes its result instead of the object.
 */
export function inToJson(value: object): Finding | undefined {
  const { toJSON }: { toJSON?: unknown } = value;
  if (typeof toJSON !== 'function') return undefined;
  return finding(
    `${named(value)} with a toJSON method`,
    'Send the plain value you want to have read.',
  );
}

/**
 * By class, the name of a member that instances have from their class and that JSON would lose; null
 * if there is none.
 */
const lost = new WeakMap<object, string | null>();

function lostOf(prototype: object): string | null {
  const known = lost.get(prototype);
  if (known !== undefined) return known;
  let name: string | null = null;
  let level: unknown = prototype;
  // `Array.prototype` is itself an array, also in another realm.
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
 * Reports properties that JSON leaves out: of an array, all but its elements and its length; of an
 * object, those that are not enumerable. The names are compared only if there are more of them than
 * were read.
 */
export function inOwnNames(value: object, read: number): Finding | undefined {
  const names = Object.getOwnPropertyNames(value);
  if (names.length === read) return undefined;
  if (Array.isArray(value)) {
    // The names of the elements come first.
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
