export {
  DatabaseUnreachableError,
  InvalidSchemaNameError,
  NoDatabaseError,
} from './connection/index.js';
export {
  MigrationChangedError,
  MigrationTimeoutError,
  Migrator,
  SchemaOutdatedError,
  SchemaTooNewError,
  sagazTypeOrmMigrations,
  type MigrationSet,
  type MigrationStatus,
} from './migrations/index.js';
