export {
  connectMigrator,
  defaultSchema,
  type ConnectedMigrator,
  type ConnectMigratorOptions,
} from './connect-migrator.js';
export {
  MigrationChangedError,
  MigrationForbiddenError,
  MigrationMissingError,
  MigrationTimeoutError,
  OtherMigrationsError,
  SchemaForbiddenError,
  SchemaOccupiedError,
  SchemaOutdatedError,
  SchemaTooNewError,
} from './migration.errors.js';
export type { MigrationSet } from './migration.js';
export { Migrator, type AppliedMigration, type MigrationStatus } from './migrator.js';
export {
  sagazTypeOrmMigrations,
  type TypeOrmMigrationClass,
  type TypeOrmQueryRunner,
} from './typeorm-migrations.js';
