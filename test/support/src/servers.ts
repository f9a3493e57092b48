import { inject } from 'vitest';

/** A PostgreSQL server that specs can create databases on. */
export interface PostgresServer {
  /** `pg` and the major version: `pg18`. */
  readonly name: string;
  /** Major version. */
  readonly version: number;
  /** Superuser URL. */
  readonly url: string;
  /**
   * Whether a pooler is in front of the server, which keeps connections to databases that are not used
   * any more.
   */
  readonly pooled: boolean;
}

/** The data that the set-up of the run gives to each spec file. */
export interface PostgresOfThisRun {
  /** Prefix of every database of this run, so that parallel runs never touch each other's. */
  readonly databasePrefix: string;
  readonly servers: readonly PostgresServer[];
}

declare module 'vitest' {
  interface ProvidedContext {
    sagazPostgres: PostgresOfThisRun;
  }
}

/**
 * The servers of this run: an embedded PostgreSQL 18; in the run of test/compat-postgres those between
 * the oldest and the newest, in that of test/compat-server those of the machine.
 */
export function postgresServers(): readonly PostgresServer[] {
  return inject('sagazPostgres').servers;
}
