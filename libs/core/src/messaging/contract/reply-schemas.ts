import type { StandardSchema } from './standard-schema.js';

/** Registered, because two copies of this package may meet. */
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
 * A reply says which command it answers and comes to whoever runs the saga by then, so the schema must
 * be found by the command's type alone. A process that runs a saga has loaded its class, and with that
 * the contracts of the commands it sends.
 */
export function rememberReplySchema(type: string, schema: StandardSchema): void {
  const schemas = known();
  const ofType = schemas.get(type) ?? new Set();
  schemas.set(type, ofType.add(schema));
}

/** Several where one process has several contracts of a type: old and new, sender and participant. */
export function replySchemasOf(type: string): readonly StandardSchema[] {
  return [...(known().get(type) ?? [])];
}
