import { setTimeout as sleep } from 'node:timers/promises';
import { isLockTimeout, type PooledClient, type SchemaName } from '../connection/index.js';
import { PARTITIONED, type Partition, type PartitionedTable } from './partition-days.js';

/** How long a change of a table waits for those who use it: all others wait behind it meanwhile. In milliseconds. */
const LOCK_WAIT_MS = 1_000;
const PAUSE_MS = 500;

/** The column of a table by which it is partitioned. */
export function columnOf(table: PartitionedTable): string {
  return PARTITIONED.find((one) => one.table === table)?.column ?? 'saga_id';
}

/** SQL for the bounds of a partition. */
export function boundsOf({ from, to }: Partition): string {
  return `FOR VALUES FROM ('${from}') TO ('${to}')`;
}

/** SQL condition: an id lies in a partition. */
export function inRange(column: string, { from, to }: Partition): string {
  return `${column} >= '${from}' AND ${column} < '${to}'`;
}

/**
 * Runs statements in a transaction that waits for no lock for long. One that did not get its locks gives up, lets
 * the others pass, and tries again until `withinMs` are over.
 */
export async function inShortTransaction(
  client: PooledClient,
  statements: readonly string[],
  withinMs: number,
): Promise<void> {
  const began = performance.now();
  for (;;) {
    try {
      await client.query({ text: 'BEGIN' });
      await client.query({ text: `SET LOCAL lock_timeout = ${String(LOCK_WAIT_MS)}` });
      for (const text of statements) await client.query({ text });
      await client.query({ text: 'COMMIT' });
      return;
    } catch (error) {
      await client.query({ text: 'ROLLBACK' });
      if (!isLockTimeout(error) || performance.now() - began > withinMs) throw error;
      await sleep(PAUSE_MS);
    }
  }
}

/** Makes partitions of days, and attaches them; writers of the table go on meanwhile. */
export async function addPartitions(
  client: PooledClient,
  schema: SchemaName,
  partitions: readonly Partition[],
  withinMs: number,
): Promise<void> {
  for (const partition of partitions) {
    const { name, table } = partition;
    await inShortTransaction(
      client,
      [
        `CREATE TABLE ${schema.quoted}.${name} (LIKE ${schema.quoted}.${table} INCLUDING ALL EXCLUDING INDEXES)`,
        // With the check, ATTACH does not look at rows.
        `ALTER TABLE ${schema.quoted}.${name} ADD CHECK (${inRange(columnOf(table), partition)})`,
        attachSql(schema, partition),
      ],
      withinMs,
    );
  }
}

export function attachSql(schema: SchemaName, partition: Partition): string {
  return `ALTER TABLE ${schema.quoted}.${partition.table} ATTACH PARTITION ${schema.quoted}.${partition.name} ${boundsOf(partition)}`;
}
