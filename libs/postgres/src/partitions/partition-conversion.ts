import type { PooledClient, Queryable, SagazPool, SchemaName } from '../connection/index.js';
import { epochMs } from '../connection/index.js';
import {
  addPartitions,
  attachSql,
  boundsOf,
  columnOf,
  inRange,
  inShortTransaction,
} from './partition-changes.js';
import {
  DAY_MS,
  dayOf,
  dayPartition,
  partitionBefore,
  PARTITIONED,
  type PartitionedTable,
} from './partition-days.js';
import { readPartitions } from './partition-tables.js';
import { PartitionsBusyError, PartitionsForbiddenError } from './partitions.errors.js';

/** What a conversion has done. */
export interface Converted {
  /** The tables that were turned into partitioned ones now. */
  readonly converted: readonly PartitionedTable[];
  /** The partitions that were made, by name. */
  readonly added: readonly string[];
}

/** How tables are partitioned. */
export interface ConversionOptions {
  /** For how many days from now there are partitions afterwards. Default 90. */
  readonly daysAhead?: number;
  /** How long to wait for locks of others, in milliseconds. Default 60,000. */
  readonly withinMs?: number;
  /** The first day that gets a partition of its own, counted from today. Default 7; another one is for tests. */
  readonly firstDay?: number;
}

/**
 * Rows of today go on into the old table, and those of the days after it into new ones. Until then the check
 * that the old table gets refuses none, even if the conversion is interrupted and run again days later.
 */
const FIRST_DAY = 7;
/** The lock space of conversions. */
const CONVERSION = 1396786507;

/**
 * Turns the tables that only grow into tables that are partitioned by day, while the application works. The old
 * table becomes the first partition: no row is copied. Run again, it makes the partitions of further days.
 */
export class PartitionConversion {
  readonly #pool: SagazPool;
  readonly #schema: SchemaName;

  constructor(pool: SagazPool, schema: SchemaName) {
    this.#pool = pool;
    this.#schema = schema;
  }

  /** @throws PartitionsForbiddenError, PartitionsBusyError */
  async run({
    daysAhead = 90,
    withinMs = 60_000,
    firstDay = FIRST_DAY,
  }: ConversionOptions = {}): Promise<Converted> {
    const client = await this.#pool.connect();
    try {
      const { rows } = await client.query<{ got: boolean }>({
        text: `SELECT pg_try_advisory_lock(${String(CONVERSION)}, 0) AS got`,
      });
      if (rows[0]?.got !== true) throw new PartitionsBusyError(this.#schema.text);
      const { owner, partitioned } = await readPartitions(client, this.#schema);
      if (!owner) throw new PartitionsForbiddenError(this.#schema.text);
      const converted: PartitionedTable[] = [];
      const today = dayOf(await storeNow(client));
      const days = Array.from(
        { length: Math.max(1, daysAhead - firstDay + 1) },
        (_, day) => today + (firstDay + day) * DAY_MS,
      );
      const added: string[] = [];
      for (const { table } of PARTITIONED) {
        if (partitioned.has(table)) continue;
        added.push(...(await this.#convert(client, table, days, withinMs)));
        converted.push(table);
      }
      added.push(...(await addDays(client, this.#schema, daysAhead, withinMs)));
      return { converted, added };
    } finally {
      // The lock ends with the session.
      client.release(true);
    }
  }

  async #convert(
    client: PooledClient,
    table: PartitionedTable,
    days: readonly number[],
    withinMs: number,
  ): Promise<readonly string[]> {
    const schema = this.#schema.quoted;
    const before = partitionBefore(table, days[0] ?? 0);
    const next = `${table}_next`;
    const check = `${table}_before`;
    const column = columnOf(table);
    const indexes = await indexesOf(client, this.#schema, table);
    const views = await viewsOn(client, this.#schema, table);
    const grants = await grantsOn(client, this.#schema, table);
    // What an interrupted conversion has left.
    await inShortTransaction(
      client,
      [
        `DROP TABLE IF EXISTS ${schema}.${next}`,
        `ALTER TABLE ${schema}.${table} DROP CONSTRAINT IF EXISTS ${check}`,
        `ALTER TABLE ${schema}.${table} ADD CONSTRAINT ${check} CHECK (${inRange(column, before)}) NOT VALID`,
      ],
      withinMs,
    );
    // Reads the whole table; writers go on.
    await client.query({ text: `ALTER TABLE ${schema}.${table} VALIDATE CONSTRAINT ${check}` });
    const parts = days.map((day) => dayPartition(table, day));
    // Nobody uses the new table yet.
    const made = [
      `CREATE TABLE ${schema}.${next} (LIKE ${schema}.${table} INCLUDING ALL EXCLUDING INDEXES EXCLUDING CONSTRAINTS)
        PARTITION BY RANGE (${column})`,
      ...indexes.map(({ name, definition, primary }) =>
        primary === null
          ? definition
              .replace(/ ON .*? USING /, ` ON ${schema}.${next} USING `)
              .replace(name, `${name}_next`)
          : `ALTER TABLE ${schema}.${next} ADD CONSTRAINT ${name}_next ${primary}`,
      ),
      ...grants.map((grant) => `GRANT ${grant.privilege} ON ${schema}.${next} TO ${grant.role}`),
      ...parts.map(
        (day) =>
          `CREATE TABLE ${schema}.${day.name} PARTITION OF ${schema}.${next} ${boundsOf(day)}`,
      ),
    ];
    for (const text of made) await client.query({ text });
    // All at once, and short: statements of others wait for it, then go on and find the new table.
    await inShortTransaction(
      client,
      [
        `LOCK TABLE ${schema}.${table} IN ACCESS EXCLUSIVE MODE`,
        `ALTER TABLE ${schema}.${table} RENAME TO ${before.name}`,
        ...indexes.map(({ name }) => `ALTER INDEX ${schema}.${name} RENAME TO ${name}_old`),
        `ALTER TABLE ${schema}.${next} RENAME TO ${table}`,
        ...indexes.map(({ name }) => `ALTER INDEX ${schema}.${name}_next RENAME TO ${name}`),
        attachSql(this.#schema, before),
        ...views.map(
          ({ name, definition }) => `CREATE OR REPLACE VIEW ${schema}.${name} AS ${definition}`,
        ),
      ],
      withinMs,
    );
    return [before.name, ...parts.map(({ name }) => name)];
  }
}

/** Makes the partitions of the days that have none yet. Returns their names. */
export async function addDays(
  client: PooledClient,
  schema: SchemaName,
  daysAhead: number,
  withinMs: number,
): Promise<readonly string[]> {
  const { partitions, partitioned } = await readPartitions(client, schema);
  const last = dayOf(await storeNow(client)) + daysAhead * DAY_MS;
  const missing = [...partitioned].flatMap((table) => {
    const until = partitions.findLast(
      (one) => one.table === table && one.state === 'attached',
    )?.until;
    const days = until === undefined ? 0 : Math.max(0, (last - until) / DAY_MS + 1);
    return Array.from({ length: days }, (_, day) =>
      dayPartition(table, (until ?? 0) + day * DAY_MS),
    );
  });
  await addPartitions(client, schema, missing, withinMs);
  return missing.map(({ name }) => name);
}

/** The time by the clock of the database, in milliseconds since 1970. */
export async function storeNow(on: Queryable): Promise<number> {
  const { rows } = await on.query<{ ms: number }>({
    text: `SELECT ${epochMs('clock_timestamp()')} AS ms`,
  });
  return rows[0]?.ms ?? Date.now();
}

interface IndexRow {
  readonly name: string;
  readonly definition: string;
  /** The definition of the primary key; null: it is another index. */
  readonly primary: string | null;
}

async function indexesOf(
  client: PooledClient,
  schema: SchemaName,
  table: string,
): Promise<readonly IndexRow[]> {
  const { rows } = await client.query<IndexRow>({
    text: `SELECT x.relname::text AS name, pg_get_indexdef(x.oid) AS definition, pg_get_constraintdef(k.oid) AS primary
      FROM pg_catalog.pg_index i
      JOIN pg_catalog.pg_class x ON x.oid = i.indexrelid
      LEFT JOIN pg_catalog.pg_constraint k ON k.conindid = x.oid AND k.contype = 'p'
      WHERE i.indrelid = $1::regclass`,
    values: [`${schema.quoted}.${table}`],
  });
  return rows;
}

interface ViewRow {
  readonly name: string;
  readonly definition: string;
}

/** The views that read a table: they go on reading the old one unless they are made anew. */
async function viewsOn(
  client: PooledClient,
  schema: SchemaName,
  table: string,
): Promise<readonly ViewRow[]> {
  const { rows } = await client.query<ViewRow>({
    text: `SELECT DISTINCT v.relname::text AS name, pg_get_viewdef(v.oid) AS definition
      FROM pg_catalog.pg_depend d
      JOIN pg_catalog.pg_rewrite r ON r.oid = d.objid AND d.classid = 'pg_rewrite'::regclass
      JOIN pg_catalog.pg_class v ON v.oid = r.ev_class AND v.relkind = 'v'
      WHERE d.refobjid = $1::regclass AND v.relnamespace = (SELECT n.oid FROM pg_catalog.pg_namespace n WHERE n.nspname = $2)`,
    values: [`${schema.quoted}.${table}`, schema.text],
  });
  return rows;
}

interface GrantRow {
  readonly role: string;
  readonly privilege: string;
}

async function grantsOn(
  client: PooledClient,
  schema: SchemaName,
  table: string,
): Promise<readonly GrantRow[]> {
  const { rows } = await client.query<GrantRow>({
    text: `SELECT CASE WHEN a.grantee = 0 THEN 'PUBLIC' ELSE a.grantee::regrole::text END AS role,
        a.privilege_type AS privilege
      FROM pg_catalog.pg_class c CROSS JOIN aclexplode(c.relacl) AS a
      WHERE c.oid = $1::regclass AND a.grantee <> c.relowner`,
    values: [`${schema.quoted}.${table}`],
  });
  return rows;
}
