import pg from 'pg';
import type { QueryResult, QueryResultRow } from 'pg';
import { DatabaseUnreachableError } from './connection.errors.js';
import { unnamed } from './named-statements.js';
import {
  connectionOptions,
  placeOf,
  refusesSettings,
  type ConnectionSettings,
  type PoolSource,
} from './pool-source.js';
import type { Queryable, Statement } from './queryable.js';
import { isConnectionError } from './sql-state.js';

/**
 * One connection that comes back: opened by the first statement, and again by the first one after
 * it was lost. Heartbeats live here, so that a full pool never looks like death. Its statements are
 * few, so none is prepared.
 */
export class SagazClient implements Queryable {
  readonly #source: PoolSource;
  readonly #settings: ConnectionSettings;
  #client: Promise<pg.Client> | null = null;
  #tuned = true;
  #ended = false;

  constructor(source: PoolSource, settings: ConnectionSettings) {
    this.#source = source;
    this.#settings = settings;
  }

  async query<R extends QueryResultRow>(statement: Statement): Promise<QueryResult<R>> {
    if (this.#ended) throw new DatabaseUnreachableError(placeOf(this.#source), 'closed by us');
    this.#client ??= this.#connect();
    const connection = this.#client;
    let client: pg.Client;
    try {
      client = await connection;
    } catch (error) {
      this.#forget(connection);
      throw new DatabaseUnreachableError(placeOf(this.#source), error);
    }
    try {
      return await client.query<R>(unnamed(statement));
    } catch (error) {
      if (isConnectionError(error)) {
        this.#forget(connection);
        client.end().catch(() => undefined);
      }
      throw error;
    }
  }

  async end(): Promise<void> {
    this.#ended = true;
    const client = await this.#client?.catch(() => undefined);
    this.#client = null;
    await client?.end();
  }

  async #connect(): Promise<pg.Client> {
    const client = new pg.Client(connectionOptions(this.#source, this.#settings, this.#tuned));
    const forget = (): void => {
      if (this.#current === client) {
        this.#client = null;
        this.#current = null;
      }
    };
    client.on('error', forget);
    client.on('end', forget);
    try {
      await client.connect();
    } catch (error) {
      client.end().catch(() => undefined);
      if (!this.#tuned || !refusesSettings(error)) throw error;
      this.#tuned = false;
      return this.#connect();
    }
    this.#current = client;
    return client;
  }

  #current: pg.Client | null = null;

  #forget(connection: Promise<pg.Client>): void {
    if (this.#client === connection) this.#client = null;
  }
}
