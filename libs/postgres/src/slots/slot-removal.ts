import { QUEUED_STATUSES, type Place } from '@sagaz/core';
import { isLockTimeout } from '../connection/index.js';
import { numberArray, type SlotConnection, type SlotNames } from './slot-table.js';

/** How long a removal waits for a lock before it learns which rows are locked, in milliseconds. */
const LOCK_WAIT_MS = 50;
/** So many removals lock their rows first after one has met a locked row, because more may follow. */
const CAREFUL_REMOVALS = 100;

/**
 * Removes messages that are done. The removal is not durable at once: if the server loses it, messages are
 * published once more, as may happen at any time. Settings are set for this one statement's transaction
 * and cost no round trip. Rows are deleted one by one along the primary key, because for a join the
 * planner would scan the whole table if a few thousand rows are removed at once.
 *
 * To lock rows before they are deleted, in order to skip those of other transactions, writes twice as much
 * WAL and takes 1.2 times as long. So it is done only after a plain removal has met a locked row.
 */
export class SlotRemoval {
  readonly #db: SlotConnection;
  readonly #names: SlotNames;
  /** SQL condition: a row of the queue that is ready, as nearly all are that are removed. */
  readonly #ready: string;
  /** SQL condition: a row of the queue in any lane. A retry lies in another one. */
  readonly #anywhere: string;
  /** How many of the next removals lock their rows first. */
  #careful = 0;

  constructor(db: SlotConnection, names: SlotNames) {
    this.#db = db;
    this.#names = names;
    this.#ready = names.rows('p', 'pending');
    this.#anywhere = names.rows('p', ...QUEUED_STATUSES);
  }

  /** Removes rows by their numbers. Returns those that are still there. */
  async remove(places: readonly Place[]): Promise<readonly Place[]> {
    if (places.length === 0) return [];
    const values = [
      numberArray(places.map((place) => place.slot)),
      numberArray(places.map((place) => place.seq)),
    ];
    let removed = await this.#remove(values, this.#ready);
    // A look in each lane for each row would cost most removals more than they need.
    if (removed < places.length) removed += await this.#remove(values, this.#anywhere);
    return removed === places.length ? [] : this.#left(values);
  }

  /** Removes those of the rows that are where the condition says. Returns how many they were. */
  async #remove(values: unknown[], where: string): Promise<number> {
    if (this.#careful === 0) {
      try {
        return await this.#delete(values, where, '');
      } catch (error) {
        if (!isLockTimeout(error)) throw error;
        this.#careful = CAREFUL_REMOVALS;
      }
    }
    this.#careful -= 1;
    return this.#delete(values, where, 'FOR UPDATE OF p SKIP LOCKED');
  }

  async #delete(values: unknown[], where: string, lock: string): Promise<number> {
    const { rowCount } = await this.#db.query({
      text: `WITH settings AS MATERIALIZED (
          SELECT set_config('synchronous_commit', 'off', true)
            || set_config('lock_timeout', '${String(LOCK_WAIT_MS)}', true) AS done
        )
        DELETE FROM ${this.#names.table} o
        WHERE o.ctid = ANY (ARRAY(
          SELECT r.ctid FROM unnest($1::int[], $2::bigint[]) AS d (slot, seq)
          CROSS JOIN LATERAL (
            SELECT p.ctid FROM ${this.#names.table} p
            WHERE ${where} AND p.slot = d.slot AND p.seq = d.seq LIMIT 1 ${lock}
          ) AS r
        )) AND (SELECT done FROM settings) IS NOT NULL`,
      values,
    });
    return rowCount ?? 0;
  }

  /** Those of the rows that exist. The others were removed, here or by another process. */
  async #left(values: unknown[]): Promise<readonly Place[]> {
    const { rows } = await this.#db.query<{ slot: number; seq: string }>({
      text: `SELECT r.slot, r.seq FROM unnest($1::int[], $2::bigint[]) AS d (slot, seq)
        CROSS JOIN LATERAL (
          SELECT p.slot, p.seq FROM ${this.#names.table} p
          WHERE ${this.#anywhere} AND p.slot = d.slot AND p.seq = d.seq LIMIT 1
        ) AS r`,
      values,
    });
    return rows;
  }
}
