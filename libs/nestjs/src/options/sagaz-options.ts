import type { BrokerDriver, Duration, RetryOptions, StoreDriver } from '@sagaz/core';

/** The roles of this process. Default: all. */
export interface RoleOptions {
  /** Runs sagas. `SAGAZ_ROLES` lists what is on: `engine,relay,consume`. */
  readonly engine?: boolean;
  /** Publishes the outboxes of all its stores to the broker. */
  readonly relay?: boolean;
  /** Handles messages: `@IdempotentHandler` methods. */
  readonly consume?: boolean;
}

/** How this process runs sagas. Durations are milliseconds or texts such as `'5s'`. */
export interface EngineOptions {
  /** Steps that run in this process at once. Default 500. `SAGAZ_ENGINE_MAX_IN_FLIGHT`. */
  readonly maxInFlight?: number;
  /**
   * How long an engine may be silent; its sagas are taken over after 0.75 to 1.25 times as long. Default `'15s'`. `SAGAZ_ENGINE_LEASE`.
   */
  readonly lease?: Duration;
  /**
   * Starts of sagas that this process holds in memory until the store has taken them, together with
   * 64 MB of input. Further ones wait for 5 s, then throw `StartQueueFullError`. Default 5,000.
   * `SAGAZ_ENGINE_MAX_STARTS`.
   */
  readonly maxStarts?: number;
  /**
   * Calls of `outcome()` and `result()` that may wait at once; one more throws
   * `TooManySagaWaitsError`. Default 10,000. `SAGAZ_ENGINE_MAX_WAITS`.
   */
  readonly maxWaits?: number;
  /** How long ended sagas and idempotency keys are kept. */
  readonly keep?: KeepOptions;
}

/**
 * How long sagas are kept after their end, by the status in which they ended, and idempotency keys after
 * their start: milliseconds or texts such as `'30d'`, at least one minute; false: for ever. Sagas that need a
 * person have not ended, and are kept. All engines of a store should be given the same.
 */
export interface KeepOptions {
  /** Default `'30d'`. `SAGAZ_ENGINE_KEEP_COMPLETED`. */
  readonly completed?: Duration | false;
  /** Default `'30d'`. `SAGAZ_ENGINE_KEEP_COMPENSATED`. */
  readonly compensated?: Duration | false;
  /** Default `'30d'`. `SAGAZ_ENGINE_KEEP_TERMINATED`. */
  readonly terminated?: Duration | false;
  /** Default `'90d'`. `SAGAZ_ENGINE_KEEP_PARTIALLY_COMMITTED`. */
  readonly partiallyCommitted?: Duration | false;
  /** A start that is repeated after this time starts another saga. Default `'90d'`. `SAGAZ_ENGINE_KEEP_KEYS`. */
  readonly keys?: Duration | false;
}

/**
 * How this process publishes messages from the outbox. Durations are milliseconds or texts such as
 * `'5s'`.
 */
export interface RelayOptions {
  /** Messages published at once, 1 to 10,000. Default 1,000. `SAGAZ_RELAY_BATCH_SIZE`. */
  readonly batchSize?: number;
  /** How often to look when no hint comes. Default `'1s'`. `SAGAZ_RELAY_POLL_INTERVAL`. */
  readonly pollInterval?: Duration;
  /** After this time the outcome of a publish is unknown. Default `'5s'`. `SAGAZ_RELAY_PUBLISH_TIMEOUT`. */
  readonly publishTimeout?: Duration;
  /**
   * How long a slot stays with a relay that does not renew its lease. Default `'10s'`.
   * `SAGAZ_RELAY_LEASE`.
   */
  readonly lease?: Duration;
  /**
   * The retries of a message that the broker rejects. `SAGAZ_RELAY_RETRY_ATTEMPTS`, `…_BACKOFF`,
   * `…_MAX_DELAY`.
   */
  readonly retry?: RetryOptions;
  /**
   * The treatment of the messages behind a dead letter in its key, by topic: they are published (`skip`,
   * default) or wait for it (`block`).
   */
  readonly onDead?: Readonly<Record<string, 'skip' | 'block'>>;
}

/** How this process handles messages and how long it remembers them. Durations are milliseconds or texts such as `'5s'`. */
export interface InboxOptions {
  /**
   * The retries of handlers that name none of their own. `SAGAZ_INBOX_RETRY_ATTEMPTS`, `…_BACKOFF`,
   * `…_MAX_DELAY`.
   */
  readonly retry?: RetryOptions;
  /** Messages of different keys a consumer group handles at once. Default 10. `SAGAZ_INBOX_CONCURRENCY`. */
  readonly concurrency?: number;
  /**
   * How long a handler may take that names no time limit of its own. After that its signal is aborted,
   * its work does not commit, and an attempt is counted. Default `'15m'`; false: no limit.
   * `SAGAZ_INBOX_TIMEOUT`, where `false` means false.
   */
  readonly timeout?: Duration | false;
  /**
   * How many crashes of the process make a message a dead letter, for handlers that name no number of
   * their own. Only crashes in which the message was handled alone in its process count. Default 3.
   * `SAGAZ_INBOX_MAX_CRASHES`.
   */
  readonly maxCrashes?: number;
  /** How long a handled message is remembered. Default `'7d'`. `SAGAZ_INBOX_KEEP_DONE`. */
  readonly keepDone?: Duration;
  /** How long a command's idempotency key is remembered. Default `'30d'`. `SAGAZ_INBOX_KEEP_KEYS`. */
  readonly keepKeys?: Duration;
  /** How much may wait in the landing queue of a group. */
  readonly landing?: LandingOptions;
}

/**
 * How much may wait in the landing queue of a consumer group: what its handlers could not do when the broker
 * delivered it. Dead letters do not count. The soft bounds concern brokers that do not keep their retries.
 */
export interface LandingOptions {
  /**
   * From so many messages on, while nearly all keys fail, nothing more is taken from the broker, and one message
   * at a time is tried without using up its attempts, until one succeeds. Default 10,000.
   */
  readonly softMessages?: number;
  /** The same in bytes: payloads, and 500 bytes for each message. Default 67,108,864 (64 MiB). */
  readonly softBytes?: number;
  /**
   * From so many messages on, nothing more is taken from the broker until fewer than 90 % of them are left. A
   * broker that keeps its retries keeps what would land, and the rest goes on. Default 1,000,000.
   */
  readonly maxMessages?: number;
  /** The same in bytes. Default 1,073,741,824 (1 GiB). */
  readonly maxBytes?: number;
}

/** A key that services which trust each other have in common: at least 32 bytes, random, as text or Buffer. */
export type SigningKey = string | Uint8Array;

/** How messages are signed, so that others with access to the broker cannot forge one. */
export type SigningOptions = {
  /**
   * How a message without a signature is treated. Use `accept` while signing is introduced service by
   * service. A message with a wrong signature is refused in any case. Default `'refuse'`.
   * `SAGAZ_SIGNING_UNSIGNED`.
   */
  readonly unsigned?: 'refuse' | 'accept';
} & (
  | { readonly key: SigningKey; readonly keys?: never }
  /**
   * The newest first, at most 10: the first one signs, all of them are accepted. `SAGAZ_SIGNING_KEYS`,
   * separated by commas.
   */
  | { readonly keys: readonly SigningKey[]; readonly key?: never }
);

/**
 * Options of `SagazModule.forRoot`. An environment variable, if one is named, overrides the code, and
 * the code overrides the default.
 */
export interface SagazOptions {
  /** The name of the service: source of its messages and its consumer group. `SAGAZ_SERVICE`. */
  readonly service: string;
  /** The store of every connection that `stores` does not name, for example `postgres()`. */
  readonly store?: StoreDriver;
  /**
   * Stores by connection. A name that is no DataSource is a store of its own, for example in a worker.
   */
  readonly stores?: Readonly<Record<string, StoreDriver>>;
  /**
   * The broker to which messages are published, for example `postgresBroker()`. Needed to relay, to
   * consume, and to run sagas whose steps or compensations return commands.
   */
  readonly broker?: BrokerDriver;
  readonly roles?: RoleOptions;
  readonly engine?: EngineOptions;
  readonly relay?: RelayOptions;
  readonly inbox?: InboxOptions;
  /**
   * Signs published messages, and refuses messages and replies that are not signed with one of the
   * keys. Every service that shares messages needs it. Default: nothing is signed or checked.
   */
  readonly signing?: SigningOptions;
  /**
   * Whether to apply migrations at the start. Default `'auto'`: unless `NODE_ENV` is `production`.
   * `SAGAZ_MIGRATE`: `auto`, `true` or `false`.
   */
  readonly migrate?: 'auto' | boolean;
  /**
   * How long the start waits for a database that is away; `0`: not at all. Wrong credentials and a schema
   * that is missing end it at once. Default `'5m'`. `SAGAZ_START_TIMEOUT`. A broker that is away does not
   * hold up the start: the process connects to it when it is there.
   */
  readonly startTimeout?: Duration;
  /** How long a shutdown may wait for what is under way. Default `'10s'`. `SAGAZ_SHUTDOWN_TIMEOUT`. */
  readonly shutdownTimeout?: Duration;
}

/** A DataSource whose transactions carry messages. */
export interface DataSourceOptions {
  readonly name: string;
  /**
   * `join` (default): injected repositories work on the ambient transaction. `off`: they do not, and
   * the explicit manager has to be used.
   */
  readonly ambient?: 'join' | 'off';
}

/** Options that Nest needs before it makes any provider. */
export interface SagazModuleExtras {
  /** Names of the TypeORM DataSources, `'default'` for the unnamed one. Default `['default']`. */
  readonly dataSources?: readonly (string | DataSourceOptions)[] | undefined;
}
