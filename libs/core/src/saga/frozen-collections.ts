function refuse(): never {
  throw new TypeError('A saga definition never changes.');
}

/** A map that cannot be changed; `Object.freeze` does not protect the contents of a Map. */
export function frozenMap<K, V>(entries: Iterable<readonly [K, V]>): ReadonlyMap<K, V> {
  const map = new Map(entries);
  return Object.freeze(Object.assign(map, { set: refuse, delete: refuse, clear: refuse }));
}

/** A set that cannot be changed. */
export function frozenSet<T>(values: Iterable<T>): ReadonlySet<T> {
  const set = new Set(values);
  return Object.freeze(Object.assign(set, { add: refuse, delete: refuse, clear: refuse }));
}
