export {
  BrokerClosedError,
  brokerGrantSql,
  connectGroups,
  MissingBrokerGrantError,
  type BrokerGrants,
  PgBroker,
  postgresBroker,
  type ConnectedGroups,
  type ConnectGroupsOptions,
  type PostgresBrokerOptions,
} from './broker/index.js';
export {
  connectUnserved,
  type ConnectedUnserved,
  type ConnectUnservedOptions,
  type Unserved,
} from './connect-unserved.js';
export {
  connectLandings,
  type ConnectedLandings,
  type ConnectLandingsOptions,
} from './connect-landings.js';
export {
  connectPartitions,
  PartitionsBusyError,
  PartitionsForbiddenError,
  type ConnectedPartitions,
  type ConversionOptions,
  type Converted,
  type PartitionedTable,
} from './partitions/index.js';
export { MissingPrivilegesError } from './privileges/index.js';
export { postgres } from './store.js';
export {
  InvalidPostgresOptionError,
  type PostgresOptions,
  type PostgresPoolOptions,
} from './postgres-options.js';
export {
  DatabaseUnreachableError,
  InvalidSchemaNameError,
  NoAnswerError,
  NoDatabaseError,
  StoreRefusedError,
  UnsuitableServerError,
} from './connection/index.js';
export {
  connectMigrator,
  MigrationChangedError,
  MigrationForbiddenError,
  MigrationMissingError,
  MigrationTimeoutError,
  OtherMigrationsError,
  SchemaForbiddenError,
  SchemaOccupiedError,
  SchemaOutdatedError,
  SchemaTooNewError,
  sagazTypeOrmMigrations,
  type AppliedMigration,
  type ConnectedMigrator,
  type ConnectMigratorOptions,
  type MigrationSet,
  type MigrationStatus,
  type Migrator,
  type TypeOrmMigrationClass,
  type TypeOrmQueryRunner,
} from './migrations/index.js';
