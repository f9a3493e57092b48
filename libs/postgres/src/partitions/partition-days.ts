/** The tables that can be partitioned, and the column by which they are: it holds the id of a saga. */
export const PARTITIONED = [
  { table: 'saga_ended', column: 'id' },
  { table: 'saga_journal', column: 'saga_id' },
  { table: 'saga_output', column: 'saga_id' },
] as const;
/** One of the tables that can be partitioned. */
export type PartitionedTable = (typeof PARTITIONED)[number]['table'];

export const DAY_MS = 86_400_000;

/** A partition, named by its table and its days: `saga_ended_20270101`, `saga_ended_before_20270101`. */
export interface Partition {
  readonly name: string;
  readonly table: PartitionedTable;
  /** The ids that it holds, as UUIDs: from the first up to the second, which belongs to the next one. */
  readonly from: string;
  readonly to: string;
  /** The day after its last one, in milliseconds since 1970. */
  readonly until: number;
}

const NAME = new RegExp(
  `^(${PARTITIONED.map(({ table }) => table).join('|')})_(before_)?(\\d{4})(\\d{2})(\\d{2})$`,
);

/** The partition with a name; null: it is no name of a partition. */
export function partitionOf(name: string): Partition | null {
  const [, given, before, year, month, date] = NAME.exec(name) ?? [];
  const table = PARTITIONED.find((one) => one.table === given)?.table;
  if (table === undefined) return null;
  const day = Date.UTC(Number(year), Number(month) - 1, Number(date));
  const until = before === undefined ? day + DAY_MS : day;
  const from = before === undefined ? firstIdOf(day) : NO_ID;
  return { name, table, from, to: firstIdOf(until), until };
}

/** The partition of a day. */
export function dayPartition(table: PartitionedTable, day: number): Partition {
  return partitionNamed(`${table}_${textOf(day)}`);
}

/** The partition of all that is older than a day. */
export function partitionBefore(table: PartitionedTable, day: number): Partition {
  return partitionNamed(`${table}_before_${textOf(day)}`);
}

/** The beginning of the day, in UTC. */
export function dayOf(ms: number): number {
  return Math.floor(ms / DAY_MS) * DAY_MS;
}

function partitionNamed(name: string): Partition {
  const partition = partitionOf(name);
  if (partition === null) throw new RangeError(`${name} is no name of a partition.`);
  return partition;
}

const NO_ID = '00000000-0000-0000-0000-000000000000';

/** The lowest UUIDv7 of an instant: its first 48 bits are milliseconds since 1970. */
function firstIdOf(ms: number): string {
  const hex = ms.toString(16).padStart(12, '0');
  return `${hex.slice(0, 8)}-${hex.slice(8)}-0000-0000-000000000000`;
}

function textOf(day: number): string {
  return new Date(day).toISOString().slice(0, 10).replaceAll('-', '');
}
