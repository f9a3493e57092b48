import { errorMessage } from '@sagaz/core';
import type { Clock, Logger, Timer } from '@sagaz/core';
import type pg from 'pg';
import {
  abandon,
  answeredWithin,
  behindPooler,
  BoundedClient,
  connectionOptions,
  LIMITS,
  NoAnswerError,
  placeOf,
  refusesSettings,
  type ConnectionSettings,
  Prepared,
  unnamed,
  type PoolSource,
  type Queryable,
  type Statement,
} from '../connection/index.js';

export interface ListenerOptions {
  readonly source: PoolSource;
  readonly settings: ConnectionSettings;
  readonly clock: Clock;
  readonly logger: Logger;
  /** The pool by which a listener behind a pooler notifies itself. */
  readonly pool: Queryable;
  /** The channel of all processes. */
  readonly channel: string;
  /** A channel that only this listener uses, to prove that it receives notifications. */
  readonly ownChannel: string;
  /** The time between two proofs, and within which one must be received, in milliseconds. */
  readonly heartbeatMs: number;
  /**
   * Called when the connection has received nothing since that moment; other connections may have
   * failed too.
   */
  readonly silent: (askedAt: number) => void;
  /** Called with each payload on the common channel. */
  readonly hear: (payload: string) => void;
  /** Called when the connection listens (again); notifications before that were missed. */
  readonly opened: () => void;
}

const NOTIFY = new Prepared(
  `WITH relaxed AS MATERIALIZED (SELECT set_config('synchronous_commit', 'off', true) AS done)
    SELECT pg_notify($1, said) FROM relaxed, unnest($2::text[]) AS said`,
);
const FIRST_DELAY_MS = 100;
const LONGEST_DELAY_MS = 30_000;

/**
 * A connection that listens to notifications and proves that it receives them. A dead listener looks
 * exactly like one without notifications: a pooler in transaction mode accepts LISTEN and delivers
 * nothing, and a connection that a firewall has forgotten never ends. So the listener notifies itself
 * from time to time. If it does not receive that in time, it closes the connection and opens a new one.
 */
export class Listener {
  readonly #options: ListenerOptions;
  #client: pg.Client | null = null;
  /** The last statement on the client. The next one waits for it, as pg requires. */
  #last: Promise<unknown> = Promise.resolve();
  #speaker: Queryable | null = null;
  #listening = false;
  #closed = false;
  #tuned = true;
  #delayMs = FIRST_DELAY_MS;
  #warned = false;
  #timer: Timer | null = null;

  constructor(options: ListenerOptions) {
    this.#options = options;
  }

  /** True from the first proof on, until one fails. */
  get listening(): boolean {
    return this.#listening;
  }

  /** Tries until it succeeds; never throws. */
  async open(): Promise<void> {
    if (this.#closed) return;
    const { source, settings, channel, ownChannel } = this.#options;
    const client = new BoundedClient(connectionOptions(source, settings, this.#tuned));
    this.#client = client;
    this.#last = Promise.resolve();
    client.on('error', (error) => {
      this.#lost(client, error);
    });
    client.on('end', () => {
      this.#lost(client, new Error('the connection ended'));
    });
    client.on('notification', (notification) => {
      if (notification.channel === ownChannel) this.#proven(client);
      else if (notification.channel === channel) this.#options.hear(notification.payload ?? '');
    });
    // The time runs from here, so that a server which accepts the connection and never answers is
    // detected.
    this.#within(client);
    try {
      await client.connect();
      await client.query(
        `LISTEN ${client.escapeIdentifier(channel)}; LISTEN ${client.escapeIdentifier(ownChannel)}`,
      );
      this.#speaker = (await behindPooler(client)) ? this.#options.pool : client;
      await this.#prove(client);
    } catch (error) {
      if (client === this.#client && this.#tuned && refusesSettings(error)) {
        this.#tuned = false;
        // The connection was replaced, so its end needs no reaction.
        this.#client = null;
        client.end().catch(() => undefined);
        return this.open();
      }
      this.#lost(client, error);
    }
  }

  /** Notifies all processes on this connection. Rejects if that fails. */
  async say(payloads: readonly string[]): Promise<void> {
    const client = this.#client;
    if (client === null || !this.#listening) throw new Error('not listening');
    const statement = notify(this.#options.channel, payloads);
    await this.#query(client, client === this.#speaker ? statement : unnamed(statement));
  }

  async close(): Promise<void> {
    this.#closed = true;
    this.#listening = false;
    this.#timer?.cancel();
    const client = this.#client;
    this.#client = null;
    await client?.end().catch(() => undefined);
  }

  /**
   * Sends the proof, behind a pooler on another connection: a client in transaction mode receives its
   * own notification only together with the answer to its statement, which proves nothing.
   */
  async #prove(client: pg.Client): Promise<void> {
    this.#within(client);
    const statement = notify(this.#options.ownChannel, ['']);
    await (this.#speaker === client
      ? this.#query(client, statement)
      : this.#speaker?.query(statement));
  }

  #query(client: pg.Client, statement: Statement): Promise<unknown> {
    const query = this.#last.then(() =>
      answeredWithin(LIMITS.listen, client.query(statement), () => {
        this.#lost(client, new NoAnswerError(LIMITS.listen));
      }),
    );
    this.#last = query.catch(() => undefined);
    return query;
  }

  /** Closes the connection if it has received nothing by then. */
  #within(client: pg.Client): void {
    this.#timer?.cancel();
    const askedAt = performance.now();
    this.#timer = this.#options.clock.after(this.#options.heartbeatMs, () => {
      this.#options.silent(askedAt);
      this.#lost(
        client,
        new Error(`it heard nothing of itself for ${String(this.#options.heartbeatMs)} ms`),
      );
    });
  }

  #proven(client: pg.Client): void {
    if (client !== this.#client) return;
    this.#timer?.cancel();
    this.#timer = this.#options.clock.after(this.#options.heartbeatMs, () => {
      this.#prove(client).catch((error: unknown) => {
        this.#lost(client, error);
      });
    });
    if (this.#listening) return;
    this.#listening = true;
    this.#delayMs = FIRST_DELAY_MS;
    if (this.#warned) {
      this.#warned = false;
      this.#options.logger.info('Hints of other processes arrive again.', this.#where());
    }
    this.#options.opened();
  }

  #lost(client: pg.Client, cause: unknown): void {
    if (client !== this.#client) return;
    this.#client = null;
    this.#listening = false;
    this.#timer?.cancel();
    // A half-open connection does not end when asked, because that waits for an answer.
    client.end().catch(() => undefined);
    abandon(client);
    if (!this.#warned) {
      this.#warned = true;
      this.#options.logger.warn(
        'Hints of other processes do not arrive; until they do, work is found by polling only, which is slower.',
        { ...this.#where(), reason: errorMessage(cause) },
      );
    }
    // The delay is spread out, or all processes would reconnect at the same moment.
    const delayMs = this.#delayMs * (0.5 + Math.random() / 2);
    this.#delayMs = Math.min(Math.max(FIRST_DELAY_MS, this.#delayMs * 2), LONGEST_DELAY_MS);
    this.#timer = this.#options.clock.after(delayMs, () => {
      void this.open();
    });
  }

  #where(): { place: string } {
    return { place: placeOf(this.#options.source) };
  }
}

/**
 * Sends NOTIFY as a query. A notification makes its transaction a writing one, which would wait for the
 * disk, so the wait is switched off; nothing in it has to survive a crash.
 */
export function notify(channel: string, payloads: readonly string[]): Statement {
  return NOTIFY.with([channel, [...payloads]]);
}
