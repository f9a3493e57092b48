import { errorMessage } from '@sagaz/core';
import type { Logger } from '@sagaz/core';
import pg from 'pg';
import type { PoolClient, QueryResult, QueryResultRow } from 'pg';
import { answeredWithin } from './answered-within.js';
import { abandon, BoundedClient } from './bounded-client.js';
import { DatabaseUnreachableError, NoAnswerError } from './connection.errors.js';
import type { Landing } from './flight.js';
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

/** The state of a connection of the pool. */
interface Known {
  /** Whether a statement uses it, whose own limit applies. */
  busy: boolean;
  /** When it last answered, or was opened. */
  answeredAt: number;
  /** Whether it was closed here; pg's pool notices that a moment later. */
  abandoned: boolean;
}

/** How long closing waits for statements that are under way, in ms. */
const END_MS = 5_000;

/** A client out of the pool. `release(true)` closes its connection. */
export interface PooledClient extends Queryable {
  /** The unwrapped client of pg. */
  readonly raw: object;
  /**
   * Sends statements in one round trip. Their limit is that of all of them together. Rejects only if there
   * is no answer in time.
   */
  together<R extends QueryResultRow>(statements: readonly Statement[]): Promise<Landing<R>>;
  /** Resolves when the next statement is sent at once, and not only behind a question about the connection. */
  ready(): Promise<void>;
  release(destroy?: boolean): void;
}

/**
 * Sagaz's own pool. The application's pool is not used, because five transactional steps on a pool of
 * five, each needing one more connection for the bookkeeping, would wait for each other for ever.
 *
 * Every statement has a limit on this side (`limits.ts`). A statement without an answer closes its
 * connection, and the idle connections that have answered nothing since. They have most likely failed
 * for the same reason, and each would cost its next user the whole limit.
 */
export class SagazPool implements Queryable {
  readonly max: number;
  /** The server's limit of a statement, in milliseconds; 0: none. */
  readonly statementTimeoutMs: number;
  /** Used for clients of the application as well, which reach the database in the same way. */
  readonly statements: NamedStatements;
  /** The errors that the server reported on connections of this pool and of the application. */
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

  /** Returns the pool with the limit of one use. */
  for(use: Use): Queryable {
    return limited(this, LIMITS[use]);
  }

  /** The limit of a statement in ms, which may have one of its own. */
  limitOf(limitMs: number | undefined): number {
    return limitMs ?? statementLimit(this.statementTimeoutMs);
  }

  /** Runs one statement in a transaction of its own. */
  async query<R extends QueryResultRow>(statement: Statement): Promise<QueryResult<R>> {
    const client = await this.connect();
    let broken = false;
    try {
      return await client.query<R>(statement);
    } catch (error) {
      // The statement did not run, and its transaction contains nothing else, so it is repeated without
      // a name.
      if (isForgottenStatement(error)) return await client.query<R>(unnamed(statement));
      broken = isConnectionError(error);
      throw error;
    } finally {
      client.release(broken);
    }
  }

  async connect(): Promise<PooledClient> {
    // Read before the connection is opened: if many are refused at once, one of them changes the
    // setting for all.
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

  /**
   * Notes that a connection to this database, of this pool or of the application, was closed because it
   * gave no answer.
   */
  unanswered({ waitedMs }: NoAnswerError, askedAt: number): void {
    this.#options.logger.warn(
      'A connection to the database gave no answer in time and was thrown away.',
      { place: this.place, waitedMs },
    );
    this.suspect(askedAt);
  }

  /**
   * Closes the idle connections that have not answered since `askedAt`, because another connection to
   * this database has not answered a statement that was sent then.
   */
  suspect(askedAt: number): void {
    for (const [client, known] of this.#known) {
      if (known.busy || known.answeredAt > askedAt) continue;
      known.abandoned = true;
      abandon(client);
    }
  }

  /** Closes the connections when they are returned, and after five seconds the others. */
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
    if (known.abandoned) {
      // Its statements would fail, for example the one that ends a session at the server.
      client.release(true);
      return this.#take();
    }
    known.busy = true;
    return {
      raw: client,
      query: <R extends QueryResultRow>(statement: Statement) =>
        this.#ask(client, known, [statement], this.statements.run<R>(client, statement)),
      together: <R extends QueryResultRow>(statements: readonly Statement[]) =>
        this.#ask(client, known, statements, this.statements.together<R>(client, statements)),
      ready: async () => {
        const ready = this.statements.ready(client);
        if (ready !== undefined) await this.#ask(client, known, [{ limitMs: LIMITS.begin }], ready);
      },
      release: (destroy) => {
        known.busy = false;
        client.release(destroy);
      },
    };
  }

  /** Waits for the answer to statements that were sent. */
  async #ask<T>(
    client: PoolClient,
    known: Known,
    statements: readonly Pick<Statement, 'limitMs'>[],
    answered: Promise<T>,
  ): Promise<T> {
    const askedAt = performance.now();
    const limitMs = statements.reduce((sum, { limitMs: own }) => sum + this.limitOf(own), 0);
    try {
      const answer = await answeredWithin(limitMs, answered, () => {
        abandon(client);
      });
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
      known = { busy: true, answeredAt: performance.now(), abandoned: false };
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
    // The old pool is not ended yet, because callers that wait for a connection of it would wait in
    // vain. They are refused too and come here as well.
    this.#refused = this.#pool;
    this.#pool = this.#open();
  }

  #open(): pg.Pool {
    // The options are changed in place, because a spread would lose the password, which is not
    // enumerable.
    const options = connectionOptions(this.#options.source, this.#options, this.#tuned);
    options.max = this.max;
    options.idleTimeoutMillis = 30_000;
    options.Client = BoundedClient;
    const pool = new pg.Pool(options);
    // Without listeners, a connection that dies while idle or between two statements would end the
    // process. The next statement on it gets the error.
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
