/**
 * Whatever a `throw` may carry can be asked by these without throwing in turn: a getter, a proxy's
 * trap or a revoked proxy answers as if there were nothing.
 */

/** A property of a thrown value; undefined: it has none, or it cannot be read. */
export function propertyOf(value: unknown, name: PropertyKey): unknown {
  if (!isObjectLike(value)) return undefined;
  try {
    return Reflect.get(value, name);
  } catch {
    return undefined;
  }
}

/** Whether a value is an error that bears a mark of this library, of whichever installed copy. */
export function isMarkedError(value: unknown, mark: symbol): boolean {
  try {
    return value instanceof Error && mark in value;
  } catch {
    return false;
  }
}

/** `instanceof Error` for values whose prototype may not be asked. */
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
