export { createDatabase, type TestDatabase } from './databases.js';
export { describeEachPostgres } from './describe-each-postgres.js';
export { describePgBouncer } from './describe-pgbouncer.js';
export { startEmbeddedPostgres, type EmbeddedPostgres } from './embedded-postgres.js';
export { startPgBouncer, type PgBouncer } from './pgbouncer.js';
export { SilentProxy } from './silent-proxy.js';
export { postgresServers, type PostgresServer } from './servers.js';
