import type pg from 'pg';
import type { QueryResult, QueryResultRow } from 'pg';
import { answeredWithin } from './answered-within.js';
import { abandon, BoundedClient } from './bounded-client.js';
import { DatabaseUnreachableError, NoAnswerError } from './connection.errors.js';
import { statementLimit } from './limits.js';
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

/** A connection that is being opened or is open. */
class Opened {
  /** The latest client. If the server refuses the settings, a second one is made. */
  client: BoundedClient | null = null;
  readonly ready: Promise<pg.Client>;

  constructor(connect: (opened: Opened) => Promise<pg.Client>) {
    this.ready = connect(this);
  }
}

/**
 * One connection that is opened by the first statement, and again by the first one after it was lost.
 * Heartbeats and leases use it, so that a full pool does not make a living process look dead. Its
 * statements are few, so none is prepared. The limit of a statement includes the opening of the
 * connection.
 */
export class SagazClient implements Queryable {
  readonly #source: PoolSource;
  readonly #settings: ConnectionSettings;
  readonly #onSilence: (askedAt: number) => void;
  #opened: Opened | null = null;
  #tuned = true;
  #ended = false;

  /** @param onSilence called when a statement that was sent at that moment got no answer */
  constructor(
    source: PoolSource,
    settings: ConnectionSettings,
    onSilence: (askedAt: number) => void = () => undefined,
  ) {
    this.#source = source;
    this.#settings = settings;
    this.#onSilence = onSilence;
  }

  async query<R extends QueryResultRow>(statement: Statement): Promise<QueryResult<R>> {
    if (this.#ended) throw new DatabaseUnreachableError(placeOf(this.#source), 'closed by us');
    const opened = (this.#opened ??= new Opened((it) => this.#connect(it)));
    const askedAt = performance.now();
    const limitMs = statement.limitMs ?? statementLimit(this.#settings.statementTimeoutMs);
    try {
      return await answeredWithin(limitMs, this.#ask<R>(opened, statement), () => {
        this.#forget(opened);
        abandon(opened.client);
      });
    } catch (error) {
      if (error instanceof NoAnswerError) this.#onSilence(askedAt);
      throw error;
    }
  }

  /** Closes the connection within a bounded time. */
  async end(): Promise<void> {
    this.#ended = true;
    const opened = this.#opened;
    this.#opened = null;
    await opened?.client?.end().catch(() => undefined);
  }

  async #ask<R extends QueryResultRow>(
    opened: Opened,
    statement: Statement,
  ): Promise<QueryResult<R>> {
    let client: pg.Client;
    try {
      client = await opened.ready;
    } catch (error) {
      this.#forget(opened);
      throw new DatabaseUnreachableError(placeOf(this.#source), error);
    }
    try {
      return await client.query<R>(unnamed(statement));
    } catch (error) {
      if (isConnectionError(error)) {
        this.#forget(opened);
        client.end().catch(() => undefined);
      }
      throw error;
    }
  }

  async #connect(opened: Opened): Promise<pg.Client> {
    const client = new BoundedClient(connectionOptions(this.#source, this.#settings, this.#tuned));
    opened.client = client;
    const forget = (): void => {
      if (opened.client === client) this.#forget(opened);
    };
    client.on('error', forget);
    client.on('end', forget);
    try {
      await client.connect();
    } catch (error) {
      client.end().catch(() => undefined);
      if (!this.#tuned || !refusesSettings(error)) throw error;
      this.#tuned = false;
      return this.#connect(opened);
    }
    return client;
  }

  #forget(opened: Opened): void {
    if (this.#opened === opened) this.#opened = null;
  }
}
