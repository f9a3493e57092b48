import { EventEmitter } from 'node:events';
import type { QueryResult, QueryResultRow } from 'pg';

interface BindConfig {
  readonly values?: readonly unknown[];
  readonly valueMapper?: (value: unknown) => unknown;
}

/** The connection of a client of pg, as far as a flight uses it: the same in pg 8.11 to 8.23. */
export interface Wire extends EventEmitter {
  readonly stream: {
    readonly writable: boolean;
    write(bytes: Uint8Array): unknown;
    destroy(): unknown;
  };
  /** The texts of the statements that the connection has prepared, by their names. */
  readonly parsedStatements: Record<string, string>;
  /** The same of statements whose Parse is not answered yet; older versions have no such list. */
  readonly submittedNamedStatements?: Record<string, string>;
  readonly parse: (statement: { readonly name?: string }) => void;
  readonly bind: (config: BindConfig) => void;
  readonly sync: () => void;
  readonly flush: () => void;
}

/** Something that a client of pg lets write its own messages and read the answers to them. */
export interface Submittable {
  submit(wire: Wire): Error | null | undefined;
}

/** A query of pg. */
export interface WireQuery<R extends QueryResultRow> extends Submittable {
  readonly text?: string;
  readonly name?: string;
  callback?: (error: unknown, result?: QueryResult<R>) => void;
  handleRowDescription(message: unknown): void;
  handleDataRow(message: unknown): void;
  handleCommandComplete(message: unknown, wire: Wire): void;
  handleEmptyQuery(wire: Wire): void;
  handlePortalSuspended(wire: Wire): void;
  handleCopyInResponse(wire: Wire): void;
  handleCopyData(message: unknown, wire: Wire): void;
  handleError(error: unknown, wire: Wire): void;
  handleReadyForQuery(wire: Wire): void;
}

type WireQueryClass = new <R extends QueryResultRow>(config: object) => WireQuery<R>;

/** A client of pg on which several statements can be sent with one Sync. */
export interface FlightClient {
  readonly connection: Wire;
  query(...given: readonly unknown[]): unknown;
}

const HANDLERS = [
  'submit',
  'requiresPreparation',
  'handleRowDescription',
  'handleDataRow',
  'handleCommandComplete',
  'handleEmptyQuery',
  'handlePortalSuspended',
  'handleCopyInResponse',
  'handleCopyData',
  'handleError',
  'handleReadyForQuery',
];
const classes = new WeakMap<object, WireQueryClass | null>();

/**
 * Whether statements can be sent together on this client. They cannot on a client of another driver, and
 * not on one in pg's pipeline mode, which refuses submittables.
 */
export function takesFlights(client: object): client is FlightClient {
  return (
    queryClassOf(client) !== null &&
    Reflect.get(client, 'pipeline') !== true &&
    isWire(Reflect.get(client, 'connection'))
  );
}

/** Makes the query that the client itself would make of this statement. */
export function queryOf<R extends QueryResultRow>(
  client: FlightClient,
  config: object,
): WireQuery<R> {
  const queryClass = queryClassOf(client);
  if (queryClass === null) throw new TypeError('The client is none of pg.');
  // The client sets its own parsers of columns if the statement has none; it has their interface.
  const types: unknown = Reflect.get(config, 'types');
  const query = new queryClass<R>({ ...config, types: types ?? client });
  const timeout: unknown = Reflect.get(config, 'query_timeout');
  return timeout === undefined ? query : Object.assign(query, { query_timeout: timeout });
}

/** The same, sent with the extended protocol, in which several statements can share one Sync. */
export function extendedQueryOf<R extends QueryResultRow>(
  client: FlightClient,
  config: object,
): WireQuery<R> {
  return Object.defineProperty(queryOf<R>(client, config), 'requiresPreparation', {
    value: () => true,
  });
}

/** The class of queries of the copy of pg that the client is from. */
function queryClassOf(client: object): WireQueryClass | null {
  const { constructor } = client;
  let found = classes.get(constructor);
  if (found === undefined) {
    const queryClass: unknown = Reflect.get(constructor, 'Query');
    found = isQueryClass(queryClass) ? queryClass : null;
    classes.set(constructor, found);
  }
  return found;
}

function isQueryClass(value: unknown): value is WireQueryClass {
  if (typeof value !== 'function') return false;
  const methods: unknown = value.prototype;
  return (
    typeof methods === 'object' &&
    methods !== null &&
    HANDLERS.every((name) => typeof Reflect.get(methods, name) === 'function')
  );
}

export function isSubmittable(value: unknown): value is Submittable {
  return (
    typeof value === 'object' &&
    value !== null &&
    'submit' in value &&
    typeof value.submit === 'function'
  );
}

export function isWire(value: unknown): value is Wire {
  return (
    value instanceof EventEmitter &&
    'parsedStatements' in value &&
    ['parse', 'bind', 'sync', 'flush'].every(
      (name) => typeof Reflect.get(value, name) === 'function',
    )
  );
}
