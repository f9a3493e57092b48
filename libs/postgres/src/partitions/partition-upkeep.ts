import { FINAL_STATUSES, type Logger, type SagaRetention } from '@sagaz/core';
import type { PooledClient, SagazPool, SchemaName } from '../connection/index.js';
import { attachSql, inRange, inShortTransaction } from './partition-changes.js';
import { addDays, storeNow } from './partition-conversion.js';
import { DAY_MS, PARTITIONED, type PartitionedTable } from './partition-days.js';
import { readPartitions, type FoundPartition } from './partition-tables.js';

/** For so many days from now there are always partitions. */
const DAYS_AHEAD = 60;
/** With partitions for fewer days than this, a process that cannot make them warns. */
const WARN_DAYS = 30;
/** The most partitions of a table that one round drops, since each waits for those who use the table. */
const MOST_DROPPED = 4;
const ORDER: readonly FoundPartition['state'][] = ['pending', 'alone', 'attached'];
/** How long a change waits for locks of others, in milliseconds; the next round tries again. */
const WITHIN_MS = 5_000;

/**
 * Looks after partitioned tables: it makes the partitions of coming days, and drops those of whole days that are
 * not kept any more. A partition is detached first, without stopping a writer, and is dropped when nobody can use
 * it. What was interrupted in between goes on in the next round.
 */
export class PartitionUpkeep {
  readonly #pool: SagazPool;
  readonly #schema: SchemaName;
  readonly #logger: Logger;
  /** When it warns next, by the monotonic clock of the process. */
  #warnAt = Number.NEGATIVE_INFINITY;

  constructor(pool: SagazPool, schema: SchemaName, logger: Logger) {
    this.#pool = pool;
    this.#schema = schema;
    this.#logger = logger;
  }

  /** Returns whether the tables are partitioned and this role looks after them. */
  async round(keep: SagaRetention): Promise<boolean> {
    const work = this.#pool.for('work');
    const { partitioned, owner, partitions } = await readPartitions(work, this.#schema);
    if (partitioned.size < PARTITIONED.length) return false;
    if (!owner) {
      this.#warnOfTheEnd(partitions, await storeNow(work));
      return false;
    }
    const client = await this.#pool.connect();
    let broken = true;
    try {
      await addDays(client, this.#schema, DAYS_AHEAD, WITHIN_MS);
      // The ended sagas of a day go first: without them, and without running ones, the rest belongs to nobody.
      for (const { table } of PARTITIONED) {
        let dropped = 0;
        for (const partition of await this.#due(client, table, keep)) {
          if (dropped >= MOST_DROPPED) break;
          if (await this.#remove(client, partition, keep)) dropped += 1;
        }
      }
      broken = false;
      return true;
    } finally {
      client.release(broken);
    }
  }

  /** Warns once a day while this role cannot make the days that will be missing soon. */
  #warnOfTheEnd(partitions: readonly FoundPartition[], now: number): void {
    const attached = partitions.filter(({ state }) => state === 'attached');
    const ends = PARTITIONED.map(({ table }) =>
      Math.max(0, ...attached.flatMap((one) => (one.table === table ? [one.until] : []))),
    );
    const days = Math.floor((Math.min(...ends) - now) / DAY_MS);
    if (days >= WARN_DAYS || performance.now() < this.#warnAt) return;
    this.#warnAt = performance.now() + DAY_MS;
    this.#logger.warn(
      `The tables of ended sagas have partitions for ${String(Math.max(0, days))} more days, and the role of this process may not make any; when they are used up, starts of sagas are refused. Run "npx sagaz partition" as the owner of the tables, once a month.`,
      { schema: this.#schema.text, days },
    );
  }

  /**
   * The partitions of a table that may be dropped: what was interrupted first, since a DETACH that is not finished
   * prevents the next one, then the oldest. Days so young that all they have is kept are not looked at.
   */
  async #due(
    client: PooledClient,
    table: PartitionedTable,
    keep: SagaRetention,
  ): Promise<readonly FoundPartition[]> {
    const { partitions } = await readPartitions(client, this.#schema);
    const shortest = Math.min(...FINAL_STATUSES.map((status) => keep[status] ?? Infinity));
    const before = (await storeNow(client)) - Math.max(shortest, DAY_MS);
    const due = partitions.filter(
      (one) => one.table === table && (one.state !== 'attached' || one.until < before),
    );
    return ORDER.flatMap((state) => due.filter((one) => one.state === state));
  }

  /** Drops a partition if nothing in it is kept any more; whether it did. */
  async #remove(
    client: PooledClient,
    partition: FoundPartition,
    keep: SagaRetention,
  ): Promise<boolean> {
    const schema = this.#schema.quoted;
    const { name, table, state } = partition;
    if (state === 'attached') {
      if (await this.#isKept(client, partition, keep)) return false;
      // Not in a transaction, and with no lock that stops a writer.
      await client.query({
        text: `ALTER TABLE ${schema}.${table} DETACH PARTITION ${schema}.${name} CONCURRENTLY`,
      });
    } else if (state === 'pending') {
      await client.query({
        text: `ALTER TABLE ${schema}.${table} DETACH PARTITION ${schema}.${name} FINALIZE`,
      });
    }
    // A saga may have come back, or ended anew, before its partition was detached.
    if (await this.#isKept(client, partition, keep)) {
      await inShortTransaction(client, [attachSql(this.#schema, partition)], WITHIN_MS);
      return false;
    }
    await client.query({ text: `DROP TABLE ${schema}.${name}` });
    if (table === 'saga_ended') {
      await client.query({
        text: `DELETE FROM ${schema}.saga_mail WHERE ${inRange('saga_id', partition)}`,
      });
    }
    return true;
  }

  /** Whether a saga of these days goes on, or has ended and is kept. */
  async #isKept(
    client: PooledClient,
    partition: FoundPartition,
    keep: SagaRetention,
  ): Promise<boolean> {
    const schema = this.#schema.quoted;
    const { table, name } = partition;
    const ended =
      table === 'saga_ended'
        ? `SELECT FROM unnest($1::text[], $2::float8[]) AS k (status, keep_ms) WHERE EXISTS (
            SELECT FROM ${schema}.${name} e WHERE e.status = k.status AND (k.keep_ms IS NULL
              OR e.ended_at >= (SELECT clock_timestamp()) - k.keep_ms * interval '1 millisecond')
          )`
        : `SELECT FROM ${schema}.saga_ended e WHERE $1::text[] IS NOT NULL AND $2::float8[] IS NOT NULL
            AND ${inRange('e.id', partition)}`;
    const { rows } = await client.query<{ kept: boolean }>({
      text: `SELECT EXISTS (SELECT FROM ${schema}.saga s WHERE ${inRange('s.id', partition)})
          OR EXISTS (${ended}) AS kept`,
      values: [[...FINAL_STATUSES], FINAL_STATUSES.map((status) => keep[status])],
    });
    return rows[0]?.kept !== false;
  }
}
