import { NoDatabaseError, SagazPool, schemaName } from '../connection/index.js';
import {
  PartitionConversion,
  type ConversionOptions,
  type Converted,
} from './partition-conversion.js';

/** A connection that partitions tables, for a tool. */
export interface ConnectedPartitions {
  /** Host, port and database; never user or password. */
  readonly place: string;
  readonly schema: string;
  /**
   * Turns the tables that only grow into partitioned ones, and makes the partitions of coming days.
   *
   * @throws PartitionsForbiddenError, PartitionsBusyError, DatabaseUnreachableError
   */
  convert(options?: Omit<ConversionOptions, 'firstDay'>): Promise<Converted>;
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
 * Connects to a database to partition its tables.
 *
 * @throws NoDatabaseError when the url is empty or invalid, InvalidSchemaNameError
 */
export function connectPartitions(options: {
  /** `postgres://user:password@host:5432/database` */
  readonly url: string;
  /** `sagaz` unless given. */
  readonly schema?: string;
}): ConnectedPartitions {
  if (options.url === '') throw new NoDatabaseError('The url of the database is empty.');
  const schema = schemaName(options.schema ?? 'sagaz');
  const pool = new SagazPool({
    source: { kind: 'url', url: options.url },
    applicationName: 'sagaz partition',
    connectTimeoutMs: 10_000,
    // VALIDATE reads whole tables.
    statementTimeoutMs: 0,
    max: 1,
    logger: silent,
  });
  return {
    place: pool.place,
    schema: schema.text,
    convert: (given) => new PartitionConversion(pool, schema).run(given),
    close: () => pool.end(),
  };
}
