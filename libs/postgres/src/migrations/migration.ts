import { createHash } from 'node:crypto';
import type { SchemaName } from '../connection/index.js';
import { MIGRATION_SOURCES } from './sources.js';

/** `store`: sagas, outbox, inbox. `broker`: the Postgres broker, which may live elsewhere. */
export type MigrationSet = 'store' | 'broker';

/** A migration as it is in its file: SQL for the schema `sagaz` that psql could run. */
export interface MigrationSource {
  /** `0001_sagas`. */
  readonly name: string;
  readonly text: string;
}

export interface Migration {
  /** From 1, without gaps. */
  readonly version: number;
  readonly name: string;
  /** The SHA-256 of the text before the name of the schema is inserted. */
  readonly checksum: string;
  readonly up: string;
  readonly down: string;
}

const DOWN = /^-- @down$/m;
/** The schema prefix of every name in the files. */
const SCHEMA = /\bsagaz\./g;

/** The migrations of a set for a schema, in order. */
export function migrationsOf(set: MigrationSet, schema: SchemaName): readonly Migration[] {
  return MIGRATION_SOURCES[set].map((source) => parseMigration(source, schema));
}

export function parseMigration({ name, text }: MigrationSource, schema: SchemaName): Migration {
  const [up = '', down = ''] = text
    .split(DOWN)
    .map((part) => part.replaceAll(SCHEMA, `${schema.quoted}.`).trim());
  return {
    version: Number.parseInt(name, 10),
    name,
    checksum: createHash('sha256').update(text).digest('hex'),
    up,
    down,
  };
}
