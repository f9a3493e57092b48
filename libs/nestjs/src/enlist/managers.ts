import type { DataSource, EntityManager } from 'typeorm';
import { dataSourceOf } from './typeorm-access.js';

type Method = (this: EntityManager, ...given: unknown[]) => Promise<unknown>;

/** Runs before a method of the managers of one DataSource. */
export type Interception = (
  manager: EntityManager,
  original: (...given: readonly unknown[]) => Promise<unknown>,
  given: readonly unknown[],
) => Promise<unknown>;

type Interceptions = Readonly<Record<string, Interception>>;

const intercepted = new WeakMap<DataSource, Interceptions>();
const redirected = new WeakSet<object>();

/**
 * Intercepts methods of all managers of a DataSource, including managers that exist already: a custom
 * repository makes its own in its constructor, perhaps before Sagaz starts. Therefore the class is
 * changed once, and each call looks up the interception by its DataSource. Returns a function that
 * undoes it.
 */
export function interceptManagers(
  dataSource: DataSource,
  interceptions: Interceptions,
): () => void {
  redirect(dataSource.manager, Object.keys(interceptions));
  intercepted.set(dataSource, interceptions);
  return () => {
    intercepted.delete(dataSource);
  };
}

function redirect(manager: EntityManager, names: readonly string[]): void {
  const prototype = ownerOf(manager, 'transaction');
  if (redirected.has(prototype)) return;
  redirected.add(prototype);
  for (const name of names) {
    const original = Reflect.get(prototype, name) as Method;
    const value: Method = function (...given) {
      const interception = intercepted.get(dataSourceOf(this))?.[name];
      if (interception === undefined) return original.call(this, ...given);
      return interception(this, (...changed) => original.call(this, ...changed), given);
    };
    Object.defineProperty(prototype, name, { configurable: true, writable: true, value });
  }
}

/** The class that declares the method; the one of TypeORM whose copy this DataSource is from. */
function ownerOf(manager: EntityManager, name: string): object {
  let owner: unknown = Object.getPrototypeOf(manager);
  while (typeof owner === 'object' && owner !== null) {
    if (Object.hasOwn(owner, name)) return owner;
    owner = Object.getPrototypeOf(owner);
  }
  throw new TypeError(`The manager of a DataSource has no ${name}().`);
}
