import type { RenewedLeases, SlotLease } from '@sagaz/core';
import { beatLimit } from '../connection/index.js';
import { numberArray, type SlotConnection, type SlotNames } from './slot-table.js';

interface LeaseRow {
  readonly slot: number | null;
  readonly epoch: string;
  readonly version: string;
  readonly crashes: number;
  readonly suspect: string | null;
}

interface RenewedRow extends LeaseRow {
  readonly members: string;
  /** Whether the row was locked by another transaction and therefore not renewed. */
  readonly busy: boolean;
}

const LEASE_COLUMNS = 'l.slot, l.epoch, l.version, l.crashes, l.suspect';

/**
 * Leases slots to processes. All times are those of the database, by `clock_timestamp()`, because
 * `now()` is the start of a transaction, which may be long past.
 *
 * Statements that change lease rows first lock those that are free, in order of their slots, and skip the
 * others. If they waited for one row that another transaction has locked, the leases of all other slots
 * would expire meanwhile.
 */
export class SlotLeases {
  readonly #db: SlotConnection;
  /** For what must be answered before the leases of this process expire. */
  readonly #leases: SlotConnection;
  readonly #names: SlotNames;
  /** The limit of statements that must succeed before the leases of this process expire. */
  #limitMs = beatLimit(10_000);

  constructor(
    { work, leases }: { readonly work: SlotConnection; readonly leases: SlotConnection },
    names: SlotNames,
  ) {
    this.#db = work;
    this.#leases = leases;
    this.#names = names;
  }

  async join(incarnation: string, ttlMs: number): Promise<void> {
    this.#limitMs = beatLimit(ttlMs);
    await this.#leases.query({
      limitMs: this.#limitMs,
      text: `WITH ${this.#membership('$3')} SELECT`,
      values: [this.#names.queue, incarnation, ttlMs],
    });
  }

  /** One statement: the member, its leases, and how many members live. */
  async renew(incarnation: string, ttlMs: number): Promise<RenewedLeases> {
    const { lease, member, queue } = this.#names;
    const { rows } = await this.#leases.query<RenewedRow>({
      limitMs: this.#limitMs,
      text: `WITH ${this.#membership('$3')},
        mine AS MATERIALIZED (
          SELECT slot FROM ${lease} WHERE queue = $1 AND owner = $2
          ORDER BY slot FOR NO KEY UPDATE SKIP LOCKED
        ),
        renewed AS (
          UPDATE ${lease} l SET expires_at = ${instant('$3')} FROM mine
          WHERE l.queue = $1 AND l.slot = mine.slot
          RETURNING ${LEASE_COLUMNS}, false AS busy
        ),
        leases AS (
          SELECT * FROM renewed
          UNION ALL
          SELECT ${LEASE_COLUMNS}, true AS busy FROM ${lease} l
          WHERE l.queue = $1 AND l.owner = $2 AND l.slot NOT IN (SELECT slot FROM mine)
        )
        SELECT r.*, (
          SELECT count(*) FROM ${member}
          WHERE queue = $1 AND incarnation <> $2 AND expires_at > clock_timestamp()
        ) AS members
        FROM (VALUES (1)) AS always LEFT JOIN leases r ON true`,
      values: [queue, incarnation, ttlMs],
    });
    return {
      members: Number(rows[0]?.members ?? 0) + 1,
      leases: rows.filter(({ busy }) => !busy).flatMap(leaseOf),
      busy: rows.flatMap(({ busy, slot }) => (busy && slot !== null ? [slot] : [])),
    };
  }

  /**
   * Takes free slots and those of members that died. An owner that did not give its slot back counts as
   * crashed. Rows that are locked at this moment are skipped, also by a change that the owner has begun:
   * hence the strongest lock. Members that expired long ago are removed in the same statement.
   */
  async acquire(incarnation: string, ttlMs: number, limit: number): Promise<readonly SlotLease[]> {
    const { lease, member, queue } = this.#names;
    const { rows } = await this.#leases.query<LeaseRow>({
      limitMs: this.#limitMs,
      text: `WITH swept AS (
          DELETE FROM ${member} WHERE (queue, incarnation) IN (
            SELECT queue, incarnation FROM ${member}
            WHERE queue = $1 AND incarnation <> $2 AND expires_at < clock_timestamp() - interval '10 minutes'
            FOR UPDATE SKIP LOCKED
          )
        ),
        free AS MATERIALIZED (
          SELECT slot FROM ${lease}
          WHERE queue = $1 AND owner IS DISTINCT FROM $2
            AND (owner IS NULL OR expires_at <= clock_timestamp())
          ORDER BY slot LIMIT $4 FOR UPDATE SKIP LOCKED
        )
        UPDATE ${lease} l
        SET owner = $2, epoch = l.epoch + 1, expires_at = ${instant('$3')},
          crashes = CASE WHEN l.owner IS NULL THEN 0 ELSE l.crashes + 1 END,
          suspect = CASE WHEN l.owner IS NOT NULL THEN l.suspect END
        FROM free WHERE l.queue = $1 AND l.slot = free.slot
        RETURNING ${LEASE_COLUMNS}`,
      values: [queue, incarnation, ttlMs, limit],
    });
    return rows.flatMap(leaseOf).sort((a, b) => a.slot - b.slot);
  }

  async release(incarnation: string, slots: readonly number[]): Promise<void> {
    await this.#db.query({
      limitMs: this.#limitMs,
      text: this.#giveBack('AND slot = ANY($3::int[])'),
      values: [this.#names.queue, incarnation, [...slots]],
    });
  }

  async leave(incarnation: string): Promise<void> {
    await this.#db.query({
      limitMs: this.#limitMs,
      text: `WITH gone AS (
          DELETE FROM ${this.#names.member} WHERE (queue, incarnation) IN (
            SELECT queue, incarnation FROM ${this.#names.member}
            WHERE queue = $1 AND incarnation = $2 FOR UPDATE SKIP LOCKED
          )
        )
        ${this.#giveBack('')}`,
      values: [this.#names.queue, incarnation],
    });
  }

  /**
   * Committed before the message is handled, so that it is known which message killed the process if it
   * dies.
   */
  async noteSuspect(incarnation: string, lease: SlotLease, seq: string | null): Promise<boolean> {
    const { rowCount } = await this.#db.query({
      limitMs: this.#limitMs,
      text: `UPDATE ${this.#names.lease} l
        SET suspect = $5::bigint, crashes = CASE WHEN $5::bigint IS NULL THEN 0 ELSE l.crashes END
        FROM (
          SELECT slot FROM ${this.#names.lease}
          WHERE queue = $1 AND slot = $2 AND owner = $3 AND epoch = $4 FOR NO KEY UPDATE SKIP LOCKED
        ) AS mine
        WHERE l.queue = $1 AND l.slot = mine.slot`,
      values: [this.#names.queue, lease.slot, incarnation, lease.epoch, seq],
    });
    return rowCount === 1;
  }

  /**
   * Fenced by the epoch: the take-over that counted the crash is the last one. Sets what the lapsed owner
   * knew instead of counting down, so that it can be repeated when its answer is lost.
   */
  async retractCrashes(lapsed: readonly SlotLease[]): Promise<readonly SlotLease[]> {
    if (lapsed.length === 0) return [];
    const { lease, queue } = this.#names;
    const counted = `SELECT l.slot, lapsed.crashes FROM ${lease} l
          JOIN unnest($2::int[], $3::bigint[], $4::int[]) AS lapsed (slot, epoch, crashes)
            ON l.slot = lapsed.slot AND l.epoch = lapsed.epoch + 1 AND l.crashes > lapsed.crashes
          WHERE l.queue = $1`;
    const { rows } = await this.#db.query<{ slot: number }>({
      limitMs: this.#limitMs,
      text: `WITH taken AS MATERIALIZED (
          ${counted} ORDER BY l.slot FOR NO KEY UPDATE OF l SKIP LOCKED
        ),
        retracted AS (
          UPDATE ${lease} l
          SET crashes = taken.crashes, suspect = CASE WHEN taken.crashes > 0 THEN l.suspect END
          FROM taken WHERE l.queue = $1 AND l.slot = taken.slot
        )
        SELECT busy.slot FROM (${counted}) AS busy WHERE busy.slot NOT IN (SELECT slot FROM taken)`,
      values: [
        queue,
        numberArray(lapsed.map(({ slot }) => slot)),
        numberArray(lapsed.map(({ epoch }) => epoch)),
        numberArray(lapsed.map(({ crashes }) => crashes)),
      ],
    });
    const busy = new Set(rows.map(({ slot }) => slot));
    return lapsed.filter(({ slot }) => !busy.has(slot));
  }

  /**
   * SQL that writes the row of the member $2, unless another transaction has locked it: then only the
   * others' count of members may be too low for a while.
   */
  #membership(ttlMs: string): string {
    const { member } = this.#names;
    const own = `SELECT FROM ${member} WHERE queue = $1 AND incarnation = $2`;
    return `own AS MATERIALIZED (${own} FOR NO KEY UPDATE SKIP LOCKED),
      joined AS (
        INSERT INTO ${member} (queue, incarnation, expires_at)
        SELECT $1, $2, ${instant(ttlMs)} WHERE EXISTS (SELECT FROM own) OR NOT EXISTS (${own})
        ON CONFLICT (queue, incarnation) DO UPDATE SET expires_at = excluded.expires_at
      )`;
  }

  #giveBack(which: string): string {
    const { lease } = this.#names;
    const mine = `SELECT slot FROM ${lease} WHERE queue = $1 AND owner = $2 ${which}
      ORDER BY slot FOR NO KEY UPDATE SKIP LOCKED`;
    return `UPDATE ${lease} l
      SET owner = NULL, expires_at = '-infinity', crashes = 0, suspect = NULL
      FROM (${mine}) AS mine WHERE l.queue = $1 AND l.slot = mine.slot`;
  }
}

function instant(ms: string): string {
  return `clock_timestamp() + ${ms}::float8 * interval '1 millisecond'`;
}

function leaseOf(row: LeaseRow): SlotLease[] {
  if (row.slot === null) return [];
  return [
    {
      slot: row.slot,
      epoch: Number(row.epoch),
      version: Number(row.version),
      crashes: row.crashes,
      suspect: row.suspect,
    },
  ];
}
