import { StaleSnapshotError, type ClaimOptions, type ClaimState, type InboxKey } from '@sagaz/core';
import { Prepared, type Queryable, type SchemaName } from '../connection/index.js';
import { limitIdleness, waitingAtMost } from './bounded-wait.js';
import { hasKey, holds, KEY_COLUMNS, keyValues, LOCK, lockOf } from './inbox-rows.js';

interface KnownRow {
  readonly state: 'done' | 'landed' | 'dead' | null;
  readonly held: boolean;
}

/** The longest limit that PostgreSQL takes, in milliseconds. */
const MOST_IDLE_MS = 2 ** 31 - 1;

/** Above the number of every row. */
const HIGHEST = String(2n ** 63n - 1n);

/** Takes the lock $5 until the end of the transaction, if it is free. */
const FREE = 'pg_try_advisory_xact_lock($5::bigint)';

/** The statements that claim a message, with a limit for idleness and without. */
interface ClaimSql {
  readonly plain: Prepared;
  readonly limited: Prepared;
}

/**
 * Marks messages as done in the transactions of their handlers; as a rule in one round trip.
 *
 * A handler holds the lock of its message's key until its transaction ends, so that no two handlers of a key
 * run at once. The statement that claims only tries the lock: it then has waited for nobody, and what it sees
 * is not older than the end of the handler before. A transaction that gets the lock at once also finds no
 * uncommitted row of the message, so no bound of a wait has to be set and restored, which would cost a fifth
 * of the whole statement.
 */
export class InboxClaims {
  readonly #ordered: ClaimSql;
  readonly #unordered: ClaimSql;
  readonly #landed: ClaimSql;
  readonly #known: Prepared;

  constructor({ quoted }: SchemaName) {
    // The limit is set first, so that it is also set when the claim has to wait.
    const both = (sql: (free: string) => string, limit = '$6'): ClaimSql => ({
      plain: new Prepared(sql(FREE)),
      limited: new Prepared(sql(`CASE WHEN ${limitIdleness(limit)} IS NOT NULL THEN ${FREE} END`)),
    });
    const insertIf = (condition: string): string =>
      `INSERT INTO ${quoted}.inbox (${KEY_COLUMNS}, state) SELECT $1, $2, $3, $4, 'done'
      WHERE ${condition}
      ON CONFLICT DO NOTHING`;
    this.#ordered = both((free) => insertIf(`${free} AND NOT ${holds(quoted, '$5::bigint')}`));
    this.#unordered = both(insertIf);
    this.#landed = both(
      (free) => `UPDATE ${quoted}.inbox i SET state = 'done', claimed_at = clock_timestamp()
      WHERE ${hasKey('i')} AND i.state = 'landed' AND ${free}
        AND NOT ${holds(quoted, '$5::bigint', '$6::bigint')}`,
      '$7',
    );
    this.#known = new Prepared(`SELECT i.state, ${holds(quoted, '$5::bigint', '$6::bigint')} AS held
      FROM (VALUES (1)) AS always LEFT JOIN ${quoted}.inbox i ON ${hasKey('i')}`);
  }

  /**
   * A stricter transaction would look for its key as it was before the wait, and pass what has landed since.
   *
   * @throws StaleSnapshotError
   */
  async #refuseOldSnapshot(on: Queryable, key: InboxKey): Promise<void> {
    const { rows } = await on.query<{ level: string }>({
      text: `SELECT current_setting('transaction_isolation') AS level`,
    });
    const level = rows[0]?.level ?? '';
    if (level !== 'read committed') throw new StaleSnapshotError(key.id, level);
  }

  /**
   * Marks the message as done, or returns what is known of it. Waits at most `waitMs` for another handler of
   * its key, in a statement of its own: one that waits and looks sees what was there before its wait. Then
   * the claim runs again, with the lock in hand.
   *
   * The wait for a statement that lands, prunes, replays or discards just that message is not bounded here,
   * but such a statement takes a few seconds at most.
   *
   * @throws InboxBusyError, StaleSnapshotError
   */
  async claim(
    on: Queryable,
    key: InboxKey,
    waitMs: number,
    { line, landed, idleMs }: ClaimOptions,
  ): Promise<ClaimState> {
    const lock = lockOf(key, line);
    const values = [...keyValues(key), lock];
    const below = landed ?? HIGHEST;
    if (landed !== undefined) values.push(landed);
    const sql =
      landed !== undefined ? this.#landed : line === undefined ? this.#unordered : this.#ordered;
    const statement =
      idleMs === undefined
        ? sql.plain.with(values)
        : sql.limited.with([...values, String(Math.min(Math.ceil(idleMs), MOST_IDLE_MS))]);
    const claims = async (): Promise<boolean> => (await on.query(statement)).rowCount === 1;
    if (await claims()) return 'new';
    for (;;) {
      // This is a statement of its own, so that its snapshot includes the row that the insert has
      // waited for.
      const { rows } = await on.query<KnownRow>(this.#known.with([...keyValues(key), lock, below]));
      const { state = null, held = false } = rows[0] ?? {};
      if (state !== null && !(landed !== undefined && state === 'landed')) return state;
      // A landed message cannot vanish, so this one was handled, and pruned.
      if (state === null && landed !== undefined) return 'done';
      if (held && line !== undefined) return 'held';
      const claimed = await waitingAtMost(on, key, waitMs, async () => {
        await on.query(LOCK.with([lock]));
        await this.#refuseOldSnapshot(on, key);
        return claims();
      });
      if (claimed) return 'new';
    }
  }
}
