import type { StandardSchema } from './standard-schema.js';

/** The symbol is registered, because a process may have two copies of this package. */
const KNOWN = Symbol.for('sagaz.reply-schemas');

type Schemas = Map<string, Set<StandardSchema>>;

function isSchemas(value: unknown): value is Schemas {
  return value instanceof Map;
}

function known(): Schemas {
  const there: unknown = Reflect.get(globalThis, KNOWN);
  if (isSchemas(there)) return there;
  const schemas: Schemas = new Map();
  Reflect.set(globalThis, KNOWN, schemas);
  return schemas;
}

/**
 * Keeps the schema of a reply by the type of its command. A reply names its command and comes to the
 * process that runs the saga by then, so the schema must be found by the type alone. A process that
 * runs a saga has loaded its class, and with it the contracts of the commands that the saga sends.
 */
export function rememberReplySchema(type: string, schema: StandardSchema): void {
  const schemas = known();
  const ofType = schemas.get(type) ?? new Set();
  schemas.set(type, ofType.add(schema));
}

/**
 * The schemas of a reply. There are several if the process has several contracts of the type: an old
 * and a new one, or those of the sender and of the participant.
 */
export function replySchemasOf(type: string): readonly StandardSchema[] {
  return [...(known().get(type) ?? [])];
}
