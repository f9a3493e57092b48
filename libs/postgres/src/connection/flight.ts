import { asError, propertyOf } from '@sagaz/core';
import type { QueryResult, QueryResultRow } from 'pg';
import { Encoder } from './encoder.js';
import type { Queryable, Statement } from './queryable.js';
import { isConnectionError, sqlState } from './sql-state.js';
import {
  takesFlights,
  extendedQueryOf,
  type FlightClient,
  type Submittable,
  type Wire,
  type WireQuery,
} from './wire.js';

/** A statement that opens a transaction, as Sagaz and TypeORM write it. */
const OPENS = /^(BEGIN|START TRANSACTION)/;

/** One of the statements that are sent together. */
export interface FlightPart {
  /** The statement, as for the `query` of a client of pg. */
  readonly config: object;
  /**
   * Called when the server has carried it out, or is known not to do so any more. The server is asked to
   * tell that at once, and not with the answers to the other statements.
   */
  readonly settled?: () => void;
}

/** How a flight ended. */
export type Landing<R extends QueryResultRow> =
  | { readonly kind: 'landed'; readonly results: readonly QueryResult<R>[] }
  | {
      readonly kind: 'failed';
      readonly error: unknown;
      /** The number of the statement that failed, from 0. */
      readonly part: number;
      /**
       * Whether the statements behind it were skipped: because the server reported the error itself, or
       * because nothing was sent of them. Otherwise it is unknown whether they were carried out.
       */
      readonly skipped: boolean;
    };

/**
 * Sends several statements with one Sync at the end, so that they take one round trip. The server carries
 * out none behind one that fails. If pg cannot encode a value of a statement, that statement and those
 * behind it are not sent. A connection on which the opening of a transaction fails is closed, because
 * statements that wait behind the flight would run without a transaction.
 *
 * @param landed called before the client sends anything else
 */
export function fly<R extends QueryResultRow>(
  client: FlightClient,
  parts: readonly FlightPart[],
  landed: (landing: Landing<R>) => void,
): void {
  client.query(new Flight<R>(client, parts, landed));
}

/** Sends statements together, or one after the other where the driver cannot do that. */
export async function sendTogether<R extends QueryResultRow>(
  client: Queryable,
  statements: readonly Statement[],
): Promise<Landing<R>> {
  if (statements.length > 1 && takesFlights(client)) {
    const parts = statements.map((config) => ({ config }));
    return new Promise((resolve) => {
      fly<R>(client, parts, resolve);
    });
  }
  const results: QueryResult<R>[] = [];
  for (const statement of statements) {
    try {
      results.push(await client.query<R>(statement));
    } catch (error) {
      return { kind: 'failed', error, part: results.length, skipped: true };
    }
  }
  return { kind: 'landed', results };
}

export function lastOf<R extends QueryResultRow>(
  results: readonly QueryResult<R>[],
): QueryResult<R> {
  const last = results.at(-1);
  if (last === undefined) throw new Error('pg gave no result for a statement.');
  return last;
}

/**
 * To the client, a flight is one query that writes its messages and reads the answers itself, as that of
 * pg-cursor does.
 */
class Flight<R extends QueryResultRow> implements Submittable {
  /** For instrumentation that reads the text of each query. */
  readonly text: string;
  /** Called once at the end. pg replaces it where the client has a `query_timeout`. */
  callback: (error: unknown) => void;
  readonly #parts: readonly FlightPart[];
  readonly #queries: readonly WireQuery<R>[];
  readonly #results: QueryResult<R>[] = [];
  /** The part whose answer comes next. */
  #at = 0;
  /** The first part that pg could not encode, or whose answer it could not read. */
  #unfit: { readonly error: unknown; readonly part: number } | null = null;
  /** How many parts were sent. */
  #sent = 0;
  /** The names of statements whose Parse is not answered; '' for one without a name. */
  #parsing: string[] = [];
  #landing: Landing<R> | null = null;

  constructor(
    client: FlightClient,
    parts: readonly FlightPart[],
    ended: (landing: Landing<R>) => void,
  ) {
    this.#parts = parts;
    this.#queries = parts.map(({ config }, part) => {
      const query = extendedQueryOf<R>(client, config);
      query.callback = (error, result) => {
        if (result === undefined) this.#unfit ??= { error, part };
        else this.#results[part] = result;
      };
      return query;
    });
    this.text = this.#queries.at(-1)?.text ?? '';
    this.callback = (error) => {
      ended(this.#landing ?? { kind: 'failed', error, part: this.#at, skipped: false });
    };
  }

  submit(wire: Wire): Error | null {
    const encoder = new Encoder(wire);
    for (const [part, query] of this.#queries.entries()) {
      const { mark } = encoder;
      const error = encoder.add(query);
      if (error !== null) this.#unfit = { error, part };
      this.#noteParse(wire, query);
      if (this.#unfit !== null) {
        encoder.rewind(mark);
        break;
      }
      if (this.#parts[part]?.settled !== undefined) encoder.flush();
      this.#sent += 1;
    }
    // The client takes the error and goes on with its next query.
    if (this.#sent === 0) return asError(this.#unfit?.error);
    this.#parsing = [...encoder.parses];
    wire.on('parseComplete', this.#parsed);
    encoder.write();
    return null;
  }

  handleRowDescription(message: unknown): void {
    this.#queries[this.#at]?.handleRowDescription(message);
  }

  handleDataRow(message: unknown): void {
    this.#queries[this.#at]?.handleDataRow(message);
  }

  handleCommandComplete(message: unknown, wire: Wire): void {
    this.#queries[this.#at]?.handleCommandComplete(message, wire);
    this.#next();
  }

  handleEmptyQuery(wire: Wire): void {
    this.#queries[this.#at]?.handleEmptyQuery(wire);
    this.#next();
  }

  handlePortalSuspended(wire: Wire): void {
    this.#queries[this.#at]?.handlePortalSuspended(wire);
  }

  handleCopyInResponse(wire: Wire): void {
    this.#queries[this.#at]?.handleCopyInResponse(wire);
  }

  handleCopyData(message: unknown, wire: Wire): void {
    this.#queries[this.#at]?.handleCopyData(message, wire);
  }

  handleReadyForQuery(wire: Wire): void {
    wire.off('parseComplete', this.#parsed);
    for (const query of this.#queries.slice(0, this.#at)) query.handleReadyForQuery(wire);
    this.#land(
      this.#unfit === null
        ? { kind: 'landed', results: this.#results }
        : { kind: 'failed', ...this.#unfit, skipped: this.#unfit.part >= this.#sent },
    );
  }

  /** Called for an error of the server, a lost connection, and a `query_timeout` of the client. */
  handleError(error: unknown, wire: Wire): void {
    if (sqlState(error) !== undefined) {
      wire.off('parseComplete', this.#parsed);
      for (const name of this.#parsing) Reflect.deleteProperty(wire.parsedStatements, name);
    }
    if (OPENS.test(this.#queries[this.#at]?.text ?? '')) wire.stream.destroy();
    const skipped = this.#sent === 0 || isOfTheServer(error);
    this.#land({ kind: 'failed', error, part: this.#at, skipped });
  }

  /** After this, a query with that name is not parsed again, also not one of this flight. */
  #noteParse(wire: Wire, { name, text }: WireQuery<R>): void {
    if (name === undefined || text === undefined) return;
    if (wire.submittedNamedStatements !== undefined) {
      Reflect.deleteProperty(wire.submittedNamedStatements, name);
    }
    if (this.#unfit === null) wire.parsedStatements[name] = text;
  }

  readonly #parsed = (): void => {
    this.#parsing.shift();
  };

  #next(): void {
    this.#parts[this.#at]?.settled?.();
    this.#at += 1;
  }

  #land(landing: Landing<R>): void {
    if (this.#landing !== null) return;
    this.#landing = landing;
    for (const { settled } of this.#parts.slice(this.#at)) settled?.();
    this.callback(landing.kind === 'failed' ? landing.error : null);
  }
}

/**
 * Whether the server reported the error itself. A pooler that loses its server reports an error, too, and
 * does not know what the server has carried out; it names no place in the source of PostgreSQL.
 */
function isOfTheServer(error: unknown): boolean {
  if (sqlState(error) === undefined) return false;
  if (propertyOf(error, 'routine') !== undefined) return true;
  return propertyOf(error, 'severity') === 'ERROR' && !isConnectionError(error);
}
