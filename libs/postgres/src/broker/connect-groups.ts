import { NoDatabaseError, SagazPool, schemaName } from '../connection/index.js';
import { defaultSchema } from '../migrations/index.js';
import type { UnservedQueue } from '@sagaz/core';
import { Groups } from './groups.js';

/** The database and schema of the Postgres broker. */
export interface ConnectGroupsOptions {
  /** `postgres://user:password@host:5432/database`, where the Postgres broker is. */
  readonly url: string;
  /** `sagaz_broker` unless given. */
  readonly schema?: string;
}

/** The operations of a tool on the consumer groups of a Postgres broker. */
export interface ConnectedGroups {
  /** Groups without a process and topics without a group in which messages wait, at most 100. */
  unserved(): Promise<readonly UnservedQueue[]>;
  /**
   * Removes a group and the messages that wait for it; resolves to the number of these messages.
   *
   * @throws GroupInUseError while a process of the group lives, UnknownGroupError
   */
  remove(group: string): Promise<number>;
  readonly schema: string;
  /** Host, port and database; never user or password. */
  readonly place: string;
  /** Closes the connection. */
  close(): Promise<void>;
}

const silent = {
  debug: () => undefined,
  info: () => undefined,
  warn: () => undefined,
  error: () => undefined,
};

/**
 * Opens the consumer groups of a broker for a tool.
 *
 * @throws NoDatabaseError when the url is empty or invalid, InvalidSchemaNameError
 */
export function connectGroups(options: ConnectGroupsOptions): ConnectedGroups {
  if (options.url === '') throw new NoDatabaseError('The url of the database is empty.');
  const schema = schemaName(options.schema ?? defaultSchema('broker'));
  const pool = new SagazPool({
    source: { kind: 'url', url: options.url },
    applicationName: 'sagaz groups',
    connectTimeoutMs: 10_000,
    statementTimeoutMs: 60_000,
    max: 1,
    logger: silent,
  });
  const groups = new Groups(pool, schema);
  return {
    unserved: () => groups.unserved(),
    remove: (group) => groups.remove(group),
    schema: schema.text,
    place: pool.place,
    close: () => pool.end(),
  };
}
