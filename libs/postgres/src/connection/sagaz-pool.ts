import { errorMessage } from '@sagaz/core';
import type { Logger } from '@sagaz/core';
import pg from 'pg';
import type { PoolClient, QueryResult, QueryResultRow } from 'pg';
import { answeredWithin } from './answered-within.js';
import { abandon, BoundedClient } from './bounded-client.js';
import { DatabaseUnreachableError, NoAnswerError } from './connection.errors.js';
import { LIMITS, statementLimit, type Use } from './limits.js';
import { NamedStatements, unnamed } from './named-statements.js';
import {
  connectionOptions,
  placeOf,
  refusesSettings,
  type ConnectionSettings,
  type PoolSource,
} from './pool-source.js';
import { limited, type Queryable, type Statement } from './queryable.js';
import { ReportedErrors } from './reported-errors.js';
import { isConnectionError, isForgottenStatement, sqlState } from './sql-state.js';

export interface SagazPoolOptions extends ConnectionSettings {
  readonly source: PoolSource;
  /** Connections at most. */
  readonly max: number;
  readonly logger: Logger;
}

/** What the pool knows of a connection of its own. */
interface Known {
  /** Somebody works on it, whose limit ends it. */
  busy: boolean;
  /** When it last answered, or was opened. */
  answeredAt: number;
}

/** How long closing waits for statements that are under way. */
const END_MS = 5_000;

/** A client out of the pool. `release(true)` closes its connection. */
export interface PooledClient extends Queryable {
  /** The client of pg behind it. */
  readonly raw: object;
  release(destroy?: boolean): void;
}

/**
 * Sagaz's own pool. Never the application's: five transactional steps on a pool of five, each
 * needing one more connection for the bookkeeping, would wait for each other for ever.
 *
 * Every statement has a limit on this side (`limits.ts`). One that is not answered closes its
 * connection, and those that stand idle and have answered nothing since: what made one connection
 * silent has most likely met them too, and each would cost its next user the whole limit.
 */
export class SagazPool implements Queryable {
  readonly max: number;
  /** Milliseconds; 0: never. */
  readonly statementTimeoutMs: number;
  /** Also for clients of the application, which come to the database the same way. */
  readonly statements: NamedStatements;
  /** What the server reported on this pool's connections, and on those of the application. */
  readonly reported = new ReportedErrors();
  readonly #options: SagazPoolOptions;
  #pool: pg.Pool;
  #refused: pg.Pool | null = null;
  #tuned = true;
  readonly #known = new Map<pg.Client, Known>();

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

  /** The pool for one use of it, with the limit of that use. */
  for(use: Use): Queryable {
    return limited(this, LIMITS[use]);
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

  /** A connection to this database was thrown away, one of this pool or of the application's. */
  unanswered({ waitedMs }: NoAnswerError, askedAt: number): void {
    this.#options.logger.warn(
      'A connection to the database gave no answer in time and was thrown away.',
      { place: this.place, waitedMs },
    );
    this.suspect(askedAt);
  }

  /**
   * A connection to this database, of this pool or another, has not answered what was sent then: closes
   * the connections that stand idle and have not answered since.
   */
  suspect(askedAt: number): void {
    for (const [client, { busy, answeredAt }] of this.#known) {
      if (!busy && answeredAt <= askedAt) abandon(client);
    }
  }

  /** Closes the connections once they come back, and after five seconds those that have not. */
  async end(): Promise<void> {
    const open = [this.#pool, this.#refused].flatMap((pool) =>
      pool?.ending === false ? [pool.end()] : [],
    );
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<void>((resolve) => {
      timer = setTimeout(() => {
        for (const client of this.#known.keys()) abandon(client);
        resolve();
      }, END_MS);
    });
    await Promise.race([Promise.all(open), late]);
    clearTimeout(timer);
  }

  async #take(): Promise<PooledClient> {
    const client: PoolClient = await this.#pool.connect();
    const known = this.#knownOf(client);
    known.busy = true;
    return {
      raw: client,
      query: <R extends QueryResultRow>(statement: Statement) =>
        this.#ask<R>(client, known, statement),
      release: (destroy) => {
        known.busy = false;
        client.release(destroy);
      },
    };
  }

  async #ask<R extends QueryResultRow>(
    client: PoolClient,
    known: Known,
    statement: Statement,
  ): Promise<QueryResult<R>> {
    const askedAt = performance.now();
    const limitMs = statement.limitMs ?? statementLimit(this.statementTimeoutMs);
    try {
      const answer = await answeredWithin(
        limitMs,
        this.statements.run<R>(client, statement),
        () => {
          abandon(client);
        },
      );
      known.answeredAt = performance.now();
      return answer;
    } catch (error) {
      if (sqlState(error) !== undefined) known.answeredAt = performance.now();
      if (error instanceof NoAnswerError) this.unanswered(error, askedAt);
      throw error;
    }
  }

  #knownOf(client: pg.Client): Known {
    let known = this.#known.get(client);
    if (known === undefined) {
      known = { busy: true, answeredAt: performance.now() };
      this.#known.set(client, known);
      client.once('end', () => this.#known.delete(client));
    }
    return known;
  }

  #untune(error: unknown): void {
    if (!this.#tuned) return;
    this.#tuned = false;
    this.#options.logger.warn(
      'The database refuses connection settings (a pooler in between?); those of the role hold instead.',
      { place: this.place, reason: errorMessage(error) },
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
    options.Client = BoundedClient;
    const pool = new pg.Pool(options);
    // Without listeners a connection that dies while idle, or between two statements, would end the
    // process; the statement that needs it next gets the error.
    pool.on('connect', (client) => {
      client.on('error', () => undefined);
      this.reported.watch(client);
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
