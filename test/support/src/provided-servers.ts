import pg from 'pg';
import type { TestProject } from 'vitest/node';
import type { EmbeddedPostgres } from './embedded-postgres.js';
import type { FoundServers } from './find-servers.js';
import type { PostgresServer } from './servers.js';

const prefix = 'sagaz_test_';
const staleAfter = 6 * 60 * 60 * 1000;

/** For embedded servers: specs of a run share them, and some read the log of changes. */
export const testFlags = { max_connections: 300, wal_level: 'logical' };

const NONE: Pick<FoundServers, 'urls' | 'stop'> = { urls: [], stop: () => Promise.resolve() };

/** A server that belongs to the run. */
export interface EmbeddedServer extends Pick<EmbeddedPostgres, 'url' | 'stop'> {
  /** False when left out. */
  readonly pooled?: boolean;
}

/**
 * Tells the specs of a run which servers they can use: the embedded ones, which end with the run, and
 * those of other kinds that were found. Returns a function that cleans up after the run.
 */
export async function provideServers(
  project: TestProject,
  embedded: readonly EmbeddedServer[],
  others: Pick<FoundServers, 'urls' | 'stop'> = NONE,
): Promise<() => Promise<void>> {
  const databasePrefix = `${prefix}${Date.now().toString(36)}_${String(process.pid)}_`;
  const servers = await Promise.all(embedded.map(({ url, pooled }) => describeServer(url, pooled)));
  for (const url of others.urls) {
    const own = await describeServer(url);
    servers.push(own);
    await dropDatabases(own.url, isStale);
  }
  project.provide('sagazPostgres', { databasePrefix, servers });
  return async () => {
    for (const server of servers.slice(embedded.length)) {
      await dropDatabases(server.url, (name) => name.startsWith(databasePrefix));
    }
    await Promise.all([others.stop(), ...embedded.map((server) => server.stop())]);
  };
}

async function describeServer(url: string, pooled = false): Promise<PostgresServer> {
  return withClient(url, async (client) => {
    const { rows } = await client.query<{ version: number }>(
      `SELECT current_setting('server_version_num')::int / 10000 AS version`,
    );
    const version = rows[0]?.version ?? 0;
    return { name: `pg${String(version)}`, version, url, pooled };
  });
}

/** Whether a database is of a run that was killed and could not clean up: no run takes this long. */
function isStale(name: string): boolean {
  const started = Number.parseInt(name.slice(prefix.length).split('_')[0] ?? '', 36);
  return started < Date.now() - staleAfter;
}

async function dropDatabases(url: string, which: (name: string) => boolean): Promise<void> {
  await withClient(url, async (client) => {
    const { rows } = await client.query<{ datname: string }>(
      'SELECT datname FROM pg_database WHERE datname LIKE $1',
      [`${prefix.replaceAll('_', '\\_')}%`],
    );
    for (const { datname } of rows.filter((row) => which(row.datname))) {
      await client.query(`DROP DATABASE IF EXISTS "${datname}" WITH (FORCE)`);
    }
  });
}

async function withClient<T>(url: string, use: (client: pg.Client) => Promise<T>): Promise<T> {
  const client = new pg.Client({ connectionString: url, connectionTimeoutMillis: 5000 });
  try {
    await client.connect();
    return await use(client);
  } finally {
    await client.end();
  }
}
