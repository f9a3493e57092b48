import { createHash } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { InvalidArgumentError } from '@sagaz/core';
import {
  epochMs,
  isTransientError,
  LIMITS,
  schemaName,
  sqlState,
  type PooledClient,
  type SagazPool,
  type SchemaName,
} from '../connection/index.js';
import {
  MigrationChangedError,
  MigrationForbiddenError,
  MigrationMissingError,
  MigrationTimeoutError,
  OtherMigrationsError,
  SchemaForbiddenError,
  SchemaOccupiedError,
  SchemaOutdatedError,
  SchemaTooNewError,
  type MigrationTarget,
} from './migration.errors.js';
import { migrationsOf, type Migration, type MigrationSet } from './migration.js';
import { createMigrationTable, migrationTableSql, recordMigrationSql } from './migration-table.js';

/** An applied migration, as the schema records it. */
export interface AppliedMigration {
  readonly version: number;
  readonly name: string;
  readonly checksum: string;
  readonly appliedAt: Date;
}

/** The applied and missing migrations of a schema. */
export interface MigrationStatus {
  readonly schema: string;
  readonly applied: readonly AppliedMigration[];
  /** The names of missing migrations, in order. */
  readonly pending: readonly string[];
  /** The missing migrations before an applied one. If there are any, no migration is applied. */
  readonly skipped: readonly string[];
  /** Applied migrations that this version does not know: a later version made them. */
  readonly unknown: readonly string[];
  /** Applied migrations whose text differs from the one this version brings. */
  readonly changed: readonly string[];
}

export interface MigratorOptions {
  /** The pool; `max` of 1 is enough. */
  readonly pool: SagazPool;
  readonly schema: string;
  readonly set: MigrationSet;
}

const LOCK_WAIT_MS = 3_000;
const LONGEST_WAIT_MS = 86_400_000;

const INSUFFICIENT_PRIVILEGE = '42501';
/** The SQLSTATEs of a name that exists: of a table or index, a type, a function. */
const NAME_TAKEN = ['42P07', '42710', '42723'];

/** Brings the schema of one set of tables up to date. */
export class Migrator {
  readonly #pool: SagazPool;
  readonly #schema: SchemaName;
  readonly #target: MigrationTarget;
  readonly #migrations: readonly Migration[];

  constructor({ pool, schema, set }: MigratorOptions) {
    this.#pool = pool;
    this.#schema = schemaName(schema);
    this.#target = { schema: this.#schema.text, set };
    this.#migrations = migrationsOf(set, this.#schema);
  }

  /**
   * Reads which migrations are applied and which are missing. Changes nothing, and needs only the right
   * to read.
   *
   * @throws OtherMigrationsError, SchemaForbiddenError
   */
  async status(): Promise<MigrationStatus> {
    const client = await this.#pool.connect();
    try {
      return await this.#status(client);
    } catch (error) {
      if (sqlState(error) === INSUFFICIENT_PRIVILEGE && error instanceof Error) {
        throw new SchemaForbiddenError(this.#target, error);
      }
      throw error;
    } finally {
      client.release();
    }
  }

  /**
   * Checks the schema for a start that does not migrate.
   *
   * A schema that is newer than this version is no error here: migrations only add, and while a new
   * version is rolled out the old one must be able to start again.
   *
   * @returns the names of migrations this version does not know
   * @throws SchemaOutdatedError, MigrationChangedError, MigrationMissingError
   */
  async assertCurrent(): Promise<readonly string[]> {
    const status = await this.status();
    const [changed] = status.changed;
    if (changed !== undefined) throw new MigrationChangedError(this.#schema.text, changed);
    if (this.#pending(status).length > 0) {
      throw new SchemaOutdatedError(this.#target, status.pending);
    }
    return status.unknown;
  }

  /**
   * Returns the script that `migrate` would run now, for people who apply schemas by hand.
   *
   * @throws MigrationMissingError
   */
  async sql(): Promise<string> {
    return migrationScript(this.#schema, this.#pending(await this.status()));
  }

  /**
   * Applies all missing migrations or none, and returns their names. Any number of processes may call
   * it at once: one applies the migrations, and the others wait and find nothing to do.
   *
   * A table lock waits for long transactions, and all other transactions wait for the table lock. So
   * each try gives up after three seconds, lets the others pass and tries again.
   *
   * @throws SchemaTooNewError, MigrationChangedError, MigrationMissingError, MigrationForbiddenError, SchemaOccupiedError,
   * MigrationTimeoutError (after `withinMs`), InvalidArgumentError (a `withinMs` that is negative or more than a day)
   */
  async migrate(options: { readonly withinMs?: number } = {}): Promise<readonly string[]> {
    const withinMs = options.withinMs ?? 60_000;
    if (!(typeof withinMs === 'number' && withinMs >= 0 && withinMs <= LONGEST_WAIT_MS)) {
      const remedy = `Give milliseconds from 0 to ${String(LONGEST_WAIT_MS)}, which is a day.`;
      throw new InvalidArgumentError('Migrator.migrate', 'withinMs', withinMs, remedy);
    }
    const started = performance.now();
    for (;;) {
      try {
        return await this.#tryMigrate(Math.min(LOCK_WAIT_MS, withinMs));
      } catch (error) {
        const state = sqlState(error);
        if (state === INSUFFICIENT_PRIVILEGE && error instanceof Error) {
          throw new MigrationForbiddenError(this.#target, error);
        }
        if (NAME_TAKEN.includes(state ?? '') && error instanceof Error) {
          throw new SchemaOccupiedError(this.#target, error);
        }
        if (!isTransientError(error)) throw error;
        if (performance.now() - started >= withinMs) {
          throw new MigrationTimeoutError(this.#schema.text, withinMs, error);
        }
        await sleep(200 + Math.random() * 300);
      }
    }
  }

  async #tryMigrate(lockWaitMs: number): Promise<readonly string[]> {
    const client = await this.#pool.connect();
    let broken = true;
    try {
      // Most starts find nothing to do, and should not wait for the lock.
      if (this.#check(await this.#status(client)).length === 0) {
        broken = false;
        return [];
      }
      await client.query({
        // 0 would be no limit.
        text: `BEGIN ISOLATION LEVEL READ COMMITTED; SET LOCAL lock_timeout = ${Math.max(1, Math.ceil(lockWaitMs))}; SET LOCAL statement_timeout = 0`,
      });
      try {
        await client.query({
          text: 'SELECT pg_advisory_xact_lock($1)',
          values: [lockNumber(this.#schema)],
        });
        await createMigrationTable(client, this.#schema);
        // The status is read again under the lock, since another process may have migrated meanwhile.
        const pending = this.#check(await this.#status(client));
        for (const migration of pending) {
          await client.query({ text: migration.up, limitMs: LIMITS.migrate });
          await client.query({ text: recordMigrationSql(this.#schema, migration) });
        }
        await client.query({ text: 'COMMIT', limitMs: LIMITS.commit });
        broken = false;
        return pending.map(({ name }) => name);
      } catch (error) {
        await client.query({ text: 'ROLLBACK', limitMs: LIMITS.rollback });
        broken = false;
        throw error;
      }
    } finally {
      client.release(broken);
    }
  }

  #check(status: MigrationStatus): readonly Migration[] {
    const [changed] = status.changed;
    if (changed !== undefined) throw new MigrationChangedError(this.#schema.text, changed);
    const [unknown] = status.unknown.slice(-1);
    if (unknown !== undefined) {
      throw new SchemaTooNewError(
        this.#schema.text,
        unknown,
        this.#migrations.at(-1)?.name ?? 'none',
      );
    }
    return this.#pending(status);
  }

  /** @throws MigrationMissingError when a migration before an applied one is missing */
  #pending({ applied, pending, skipped }: MigrationStatus): readonly Migration[] {
    const [first] = skipped;
    if (first !== undefined) {
      throw new MigrationMissingError(this.#target, first, applied.at(-1)?.name ?? 'one');
    }
    return this.#migrations.filter(({ name }) => pending.includes(name));
  }

  async #status(client: PooledClient): Promise<MigrationStatus> {
    const applied = await this.#applied(client);
    const known = new Map(this.#migrations.map((migration) => [migration.version, migration]));
    // Each set counts its own numbers, and names never change, so another name under a number belongs
    // to another set.
    const other = applied.find(({ version, name }) => (known.get(version)?.name ?? name) !== name);
    if (other !== undefined) throw new OtherMigrationsError(this.#target, other.name);
    const missing = this.#migrations.filter(
      ({ version }) => !applied.some((row) => row.version === version),
    );
    const last = applied.at(-1)?.version ?? 0;
    return {
      schema: this.#schema.text,
      applied,
      pending: missing.map(({ name }) => name),
      skipped: missing.filter(({ version }) => version < last).map(({ name }) => name),
      unknown: applied.filter(({ version }) => !known.has(version)).map(({ name }) => name),
      changed: applied
        .filter(({ version, checksum }) => (known.get(version)?.checksum ?? checksum) !== checksum)
        .map(({ name }) => name),
    };
  }

  async #applied(client: PooledClient): Promise<readonly AppliedMigration[]> {
    const { rows: found } = await client.query<{ found: boolean }>({
      text: 'SELECT to_regclass($1) IS NOT NULL AS found',
      values: [`${this.#schema.quoted}.migration`],
    });
    if (found[0]?.found !== true) return [];
    const { rows } = await client.query<{
      version: number;
      name: string;
      checksum: string;
      applied_at: number;
    }>({
      text: `SELECT version, name, checksum, ${epochMs('applied_at')} AS applied_at FROM ${this.#schema.quoted}.migration ORDER BY version`,
    });
    return rows.map(({ version, name, checksum, applied_at }) => ({
      version,
      name,
      checksum,
      appliedAt: new Date(applied_at),
    }));
  }
}

/**
 * The number of the advisory lock of a schema's migrations. It has the form with one number, which no
 * key lock uses.
 */
export function lockNumber(schema: SchemaName): string {
  return createHash('sha256')
    .update(`sagaz:migrate:${schema.text}`)
    .digest()
    .readBigInt64BE(0)
    .toString();
}

function migrationScript(schema: SchemaName, pending: readonly Migration[]): string {
  if (pending.length === 0) return `-- The schema ${schema.text} is up to date.\n`;
  const parts = pending.map(
    (migration) =>
      `-- ${migration.name}\n${migration.up}\n\n${recordMigrationSql(schema, migration)}\n`,
  );
  return `BEGIN;\n\nCREATE SCHEMA IF NOT EXISTS ${schema.quoted};\n\n${migrationTableSql(schema)}\n\n${parts.join('\n')}\nCOMMIT;\n`;
}
