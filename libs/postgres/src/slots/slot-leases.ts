import type { SlotLease } from '@sagaz/core';
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
}

const LEASE_COLUMNS = 'l.slot, l.epoch, l.version, l.crashes, l.suspect';

/**
 * Leases slots to processes. All times are those of the database, by `clock_timestamp()`, because
 * `now()` is the start of a transaction, which may be long past.
 *
 * Statements that change several lease rows lock them in order of their slots first, because a
 * fenced change holds some of them shared while it waits for others.
 */
export class SlotLeases {
  readonly #db: SlotConnection;
  readonly #names: SlotNames;
  /** The limit of statements that must succeed before the leases of this process expire. */
  #limitMs = beatLimit(10_000);

  constructor(db: SlotConnection, names: SlotNames) {
    this.#db = db;
    this.#names = names;
  }

  async join(incarnation: string, ttlMs: number): Promise<void> {
    this.#limitMs = beatLimit(ttlMs);
    await this.#db.query({
      limitMs: this.#limitMs,
      text: this.#membership('$3'),
      values: [this.#names.queue, incarnation, ttlMs],
    });
  }

  /** One statement: the member, its leases, and how many members live. */
  async renew(
    incarnation: string,
    ttlMs: number,
  ): Promise<{ members: number; leases: readonly SlotLease[] }> {
    const { lease, member, queue } = this.#names;
    const { rows } = await this.#db.query<RenewedRow>({
      limitMs: this.#limitMs,
      text: `WITH joined AS (${this.#membership('$3')}),
        mine AS MATERIALIZED (
          SELECT slot FROM ${lease} WHERE queue = $1 AND owner = $2 ORDER BY slot FOR NO KEY UPDATE
        ),
        renewed AS (
          UPDATE ${lease} l SET expires_at = ${instant('$3')} FROM mine
          WHERE l.queue = $1 AND l.slot = mine.slot
          RETURNING ${LEASE_COLUMNS}
        )
        SELECT r.*, (
          SELECT count(*) FROM ${member}
          WHERE queue = $1 AND incarnation <> $2 AND expires_at > clock_timestamp()
        ) AS members
        FROM (VALUES (1)) AS always LEFT JOIN renewed r ON true`,
      values: [queue, incarnation, ttlMs],
    });
    return { members: Number(rows[0]?.members ?? 0) + 1, leases: rows.flatMap(leaseOf) };
  }

  /**
   * Takes free slots and those of members that died. An owner that did not give its slot back counts as
   * crashed. Rows that are locked at this moment are skipped. Members that expired long ago are removed
   * in the same statement.
   */
  async acquire(incarnation: string, ttlMs: number, limit: number): Promise<readonly SlotLease[]> {
    const { lease, member, queue } = this.#names;
    const { rows } = await this.#db.query<LeaseRow>({
      limitMs: this.#limitMs,
      text: `WITH swept AS (
          DELETE FROM ${member}
          WHERE queue = $1 AND incarnation <> $2 AND expires_at < clock_timestamp() - interval '10 minutes'
        ),
        free AS MATERIALIZED (
          SELECT slot FROM ${lease}
          WHERE queue = $1 AND owner IS DISTINCT FROM $2
            AND (owner IS NULL OR expires_at <= clock_timestamp())
          ORDER BY slot LIMIT $4 FOR NO KEY UPDATE SKIP LOCKED
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
      text: `WITH gone AS (DELETE FROM ${this.#names.member} WHERE queue = $1 AND incarnation = $2)
        ${this.#giveBack('')}`,
      values: [this.#names.queue, incarnation],
    });
  }

  /**
   * Committed before the message is handled, so that it is known which message killed the process if it
   * dies.
   */
  async noteSuspect(incarnation: string, lease: SlotLease, seq: string | null): Promise<void> {
    await this.#db.query({
      limitMs: this.#limitMs,
      text: `UPDATE ${this.#names.lease}
        SET suspect = $5::bigint, crashes = CASE WHEN $5::bigint IS NULL THEN 0 ELSE crashes END
        WHERE queue = $1 AND slot = $2 AND owner = $3 AND epoch = $4`,
      values: [this.#names.queue, lease.slot, incarnation, lease.epoch, seq],
    });
  }

  /**
   * Fenced by the epoch: the take-over that counted the crash is the last one. Sets what the lapsed owner
   * knew instead of counting down, so that it can be repeated when its answer is lost.
   */
  async retractCrashes(lapsed: readonly SlotLease[]): Promise<void> {
    if (lapsed.length === 0) return;
    const { lease, queue } = this.#names;
    await this.#db.query({
      limitMs: this.#limitMs,
      text: `WITH taken AS MATERIALIZED (
          SELECT l.slot, lapsed.crashes FROM ${lease} l
          JOIN unnest($2::int[], $3::bigint[], $4::int[]) AS lapsed (slot, epoch, crashes)
            ON l.slot = lapsed.slot AND l.epoch = lapsed.epoch + 1 AND l.crashes > lapsed.crashes
          WHERE l.queue = $1 ORDER BY l.slot FOR NO KEY UPDATE OF l
        )
        UPDATE ${lease} l
        SET crashes = taken.crashes, suspect = CASE WHEN taken.crashes > 0 THEN l.suspect END
        FROM taken WHERE l.queue = $1 AND l.slot = taken.slot`,
      values: [
        queue,
        numberArray(lapsed.map(({ slot }) => slot)),
        numberArray(lapsed.map(({ epoch }) => epoch)),
        numberArray(lapsed.map(({ crashes }) => crashes)),
      ],
    });
  }

  #membership(ttlMs: string): string {
    return `INSERT INTO ${this.#names.member} (queue, incarnation, expires_at)
      VALUES ($1, $2, ${instant(ttlMs)})
      ON CONFLICT (queue, incarnation) DO UPDATE SET expires_at = excluded.expires_at`;
  }

  #giveBack(which: string): string {
    const { lease } = this.#names;
    const mine = `SELECT slot FROM ${lease} WHERE queue = $1 AND owner = $2 ${which} ORDER BY slot FOR NO KEY UPDATE`;
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
