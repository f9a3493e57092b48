/** The symbol is registered, because a process may have two copies of this package. */
const KNOWN = Symbol.for('sagaz.commands-without-handler');

function isTypes(value: unknown): value is Set<string> {
  return value instanceof Set;
}

function known(): Set<string> {
  const there: unknown = Reflect.get(globalThis, KNOWN);
  if (isTypes(there)) return there;
  const types = new Set<string>();
  Reflect.set(globalThis, KNOWN, types);
  return types;
}

/** Keeps the type of a command whose contract names no service that handles it. */
export function noteUnnamedHandler(type: string): void {
  known().add(type);
}

/**
 * Types of the commands in this process whose contract has no `handledBy`. Unless messages are signed, a
 * reply to them counts from every service that knows the id of the command.
 */
export function commandsWithoutHandledBy(): readonly string[] {
  return [...known()].sort();
}
