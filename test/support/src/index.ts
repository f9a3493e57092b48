export { createDatabase, type TestDatabase } from './databases.js';
export { describeEachPostgres } from './describe-each-postgres.js';
export { startEmbeddedPostgres, type EmbeddedPostgres } from './embedded-postgres.js';
export { postgresServers, type PostgresServer } from './servers.js';
