import type { Logger } from '@sagaz/core';
import pg from 'pg';
import type { PoolClient, QueryResult, QueryResultRow } from 'pg';
import { DatabaseUnreachableError } from './connection.errors.js';
import { NamedStatements, unnamed } from './named-statements.js';
import {
  connectionOptions,
  placeOf,
  refusesSettings,
  type ConnectionSettings,
  type PoolSource,
} from './pool-source.js';
import type { Queryable, Statement } from './queryable.js';
import { isConnectionError, isForgottenStatement } from './sql-state.js';

export interface SagazPoolOptions extends ConnectionSettings {
  readonly source: PoolSource;
  /** Connections at most. */
  readonly max: number;
  readonly logger: Logger;
}

/** A client out of the pool. `release(true)` closes its connection. */
export interface PooledClient extends Queryable {
  release(destroy?: boolean): void;
}

/**
 * Sagaz's own pool. Never the application's: five transactional steps on a pool of five, each
 * needing one more connection for the bookkeeping, would wait for each other for ever.
 */
export class SagazPool implements Queryable {
  readonly max: number;
  /** Milliseconds; 0: never. */
  readonly statementTimeoutMs: number;
  /** Also for clients of the application, which come to the database the same way. */
  readonly statements: NamedStatements;
  readonly #options: SagazPoolOptions;
  #pool: pg.Pool;
  #refused: pg.Pool | null = null;
  #tuned = true;

  constructor(options: SagazPoolOptions) {
    this.#options = options;
    this.max = options.max;
    this.statementTimeoutMs = options.statementTimeoutMs;
    this.statements = new NamedStatements(this.place, options.logger);
    this.#pool = this.#open();
  }

  /** Host, port and database. */
  get place(): string {
    return placeOf(this.#options.source);
  }

  /** Runs one statement in a transaction of its own. */
  async query<R extends QueryResultRow>(statement: Statement): Promise<QueryResult<R>> {
    const client = await this.connect();
    let broken = false;
    try {
      return await client.query<R>(statement);
    } catch (error) {
      // It did not run, and nothing else is lost with its transaction; the next goes without a name.
      if (isForgottenStatement(error)) return await client.query<R>(unnamed(statement));
      broken = isConnectionError(error);
      throw error;
    } finally {
      client.release(broken);
    }
  }

  async connect(): Promise<PooledClient> {
    // As it was when this asked: of many that are refused at once, one changes it for all.
    const tuned = this.#tuned;
    try {
      return await this.#take();
    } catch (error) {
      if (tuned && refusesSettings(error)) {
        this.#untune(error);
        return this.connect();
      }
      throw new DatabaseUnreachableError(this.place, error);
    }
  }

  /** Closes the connections once they come back. */
  async end(): Promise<void> {
    const open = [this.#pool, this.#refused].flatMap((pool) =>
      pool?.ending === false ? [pool.end()] : [],
    );
    await Promise.all(open);
  }

  async #take(): Promise<PooledClient> {
    const client: PoolClient = await this.#pool.connect();
    return {
      query: <R extends QueryResultRow>(statement: Statement) =>
        this.statements.run<R>(client, statement),
      release: (destroy) => {
        client.release(destroy);
      },
    };
  }

  #untune(error: unknown): void {
    if (!this.#tuned) return;
    this.#tuned = false;
    this.#options.logger.warn(
      'The database refuses connection settings (a pooler in between?); those of the role hold instead.',
      { place: this.place, reason: error instanceof Error ? error.message : String(error) },
    );
    // Not ended yet: who waits there for a connection would wait in vain, and is refused and comes
    // here as well.
    this.#refused = this.#pool;
    this.#pool = this.#open();
  }

  #open(): pg.Pool {
    // Changed in place: a spread would lose the password, which cannot be enumerated.
    const options = connectionOptions(this.#options.source, this.#options, this.#tuned);
    options.max = this.max;
    options.idleTimeoutMillis = 30_000;
    const pool = new pg.Pool(options);
    // Without listeners a connection that dies while idle, or between two statements, would end the
    // process; the statement that needs it next gets the error.
    pool.on('connect', (client) => {
      client.on('error', () => undefined);
    });
    pool.on('error', (error) => {
      this.#options.logger.warn('An idle connection to the database was lost.', {
        place: this.place,
        reason: error.message,
      });
    });
    return pool;
  }
}
