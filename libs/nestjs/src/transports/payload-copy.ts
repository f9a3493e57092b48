/**
 * A copy of a payload that a transport has parsed, so that changes which one run of a handler makes to it
 * do not affect the next run. Values other than arrays and plain objects, which no JSON yields, are
 * shared and not copied.
 */
export function payloadCopy(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(payloadCopy);
  if (!isPlainObject(value)) return value;
  const copy: object = Object.create(Object.getPrototypeOf(value) as object | null) as object;
  for (const [name, member] of Object.entries(value)) {
    // Defined and not assigned, because an assignment to `__proto__` would change the prototype.
    const descriptor = { configurable: true, enumerable: true, writable: true };
    Object.defineProperty(copy, name, { ...descriptor, value: payloadCopy(member) });
  }
  return copy;
}

/** Whether the prototype is that of an object literal, also of one that comes from another realm. */
function isPlainObject(value: unknown): value is object {
  if (typeof value !== 'object' || value === null) return false;
  const prototype: unknown = Object.getPrototypeOf(value);
  return prototype === null || Object.getPrototypeOf(prototype) === null;
}
