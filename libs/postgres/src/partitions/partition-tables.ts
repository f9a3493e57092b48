import type { Queryable, SchemaName } from '../connection/index.js';
import {
  PARTITIONED,
  partitionOf,
  type Partition,
  type PartitionedTable,
} from './partition-days.js';

/** A table with the name of a partition, as it is now. */
export interface FoundPartition extends Partition {
  /** `pending`: a DETACH was interrupted. `alone`: it was detached and not yet dropped. */
  readonly state: 'attached' | 'pending' | 'alone';
}

/** The partitions of a schema, and what this role may do with them. */
export interface PartitionTables {
  /** The tables that are partitioned. */
  readonly partitioned: ReadonlySet<PartitionedTable>;
  /** Whether the role may change all the tables. */
  readonly owner: boolean;
  /** By day. */
  readonly partitions: readonly FoundPartition[];
}

/** Reads from the catalog which tables are partitioned, and how. */
export async function readPartitions(on: Queryable, schema: SchemaName): Promise<PartitionTables> {
  const { rows } = await on.query<{
    name: string;
    kind: string;
    owner: boolean;
    parent: string | null;
    pending: boolean | null;
  }>({
    text: `SELECT c.relname::text AS name, c.relkind::text AS kind, pg_has_role(c.relowner, 'USAGE') AS owner,
        p.relname::text AS parent, i.inhdetachpending AS pending
      FROM pg_catalog.pg_class c
      LEFT JOIN pg_catalog.pg_inherits i ON i.inhrelid = c.oid
      LEFT JOIN pg_catalog.pg_class p ON p.oid = i.inhparent
      WHERE c.relnamespace = (SELECT n.oid FROM pg_catalog.pg_namespace n WHERE n.nspname = $1)
        AND c.relkind IN ('r', 'p') AND (${PARTITIONED.map(({ table }) => `starts_with(c.relname, '${table}')`).join(' OR ')})`,
    values: [schema.text],
  });
  const partitioned = new Set(
    PARTITIONED.flatMap(({ table }) =>
      rows.some(({ name, kind }) => name === table && kind === 'p') ? [table] : [],
    ),
  );
  const partitions = rows.flatMap(({ name, parent, pending }): FoundPartition[] => {
    const partition = partitionOf(name);
    if (partition === null || !partitioned.has(partition.table)) return [];
    // What a conversion that is under way has made belongs to a table of another name.
    if (parent !== null && parent !== partition.table) return [];
    const state = parent === null ? 'alone' : pending === true ? 'pending' : 'attached';
    return [{ ...partition, state }];
  });
  return {
    partitioned,
    owner: rows.every(({ owner }) => owner),
    partitions: partitions.sort((a, b) => a.until - b.until),
  };
}
