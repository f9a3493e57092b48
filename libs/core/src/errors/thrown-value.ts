/**
 * These functions read any thrown value without throwing themselves: where a getter or a proxy's trap
 * throws, or a proxy is revoked, they answer as if the property did not exist.
 */

/** A property of a thrown value; undefined if the value does not have it or it cannot be read. */
export function propertyOf(value: unknown, name: PropertyKey): unknown {
  if (!isObjectLike(value)) return undefined;
  try {
    return Reflect.get(value, name);
  } catch {
    return undefined;
  }
}

/** Whether a value is an error with a mark of this library, from any installed copy of it. */
export function isMarkedError(value: unknown, mark: symbol): boolean {
  try {
    return value instanceof Error && mark in value;
  } catch {
    return false;
  }
}

/** `instanceof Error` for values whose prototype may throw when it is read. */
export function isError(value: unknown): value is Error {
  try {
    return value instanceof Error;
  } catch {
    return false;
  }
}

function isObjectLike(value: unknown): value is object {
  return (typeof value === 'object' && value !== null) || typeof value === 'function';
}
