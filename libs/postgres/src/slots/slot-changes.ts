import {
  wellFormed,
  type NewMail,
  type SlotChange,
  type SlotChangeOutcome,
  type SlotLease,
} from '@sagaz/core';
import { apart, inPlainJson, inPlainText, sqlState } from '../connection/index.js';
import { inLanes, LANES } from './lanes.js';
import { leasedSlots, leaseValues } from './leased.js';
import { holds, type SlotConnection, type SlotNames } from './slot-table.js';

type RowChange = Exclude<SlotChange, { kind: 'release' }>;
type Release = Extract<SlotChange, { kind: 'release' }>;

const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i;
/** The longest delay, in ms, which PostgreSQL can still add to a date. */
const LONGEST_DELAY_MS = 10 * 365 * 86_400_000;

interface OutcomeRow {
  readonly outcome: SlotChangeOutcome;
}

/**
 * SQL that puts mail, as a part of the statement that makes the change: an INSERT from the arrays
 * `$first` (place of the change), then saga ids, kinds, dedupe keys and data, of those whose place is
 * among the rows of `changed`.
 */
export type MailInsert = (first: number) => string;

/** SQL for the outcome of a change `w` whose lease row is not among those that were locked. */
const WITHOUT_LEASE = `CASE WHEN w.slot IN (SELECT slot FROM mine) THEN 'busy' ELSE 'lost_lease' END`;

const UNCHANGED: OutcomeRow = { outcome: 'gone' };

/** The statuses of rows that may be changed. */
const CHANGEABLE = ['pending', 'retrying', 'held', 'dead_letter'] as const;

/**
 * SQL condition: a change `w` finds its row `o` in a status in which it may be made. In any other status,
 * another transaction has changed the row.
 */
function legal(names: SlotNames): string {
  const before = (rows: string): string => `EXISTS (
      SELECT FROM ${names.table} h WHERE ${names.sameKey('h', 'o')} AND ${rows} AND h.seq < o.seq AND ${holds('h')}
    )`;
  return `${names.rows('o', ...CHANGEABLE)} AND o.slot = w.slot AND o.seq = w.seq AND CASE w.kind
    WHEN 'hold' THEN ${inLanes('o', 'pending', 'held')}
    WHEN 'retry' THEN ${inLanes('o', 'pending', 'retrying')}
    WHEN 'retry_first' THEN ${inLanes('o', 'pending', 'retrying')}
      AND (NOT o.ordered OR NOT (${before(`h.lane <> 0 AND h.lane <> ${String(LANES.delayed)}`)} OR ${before('h.lane = 0')}))
    ELSE ${inLanes('o', 'pending', 'retrying', 'dead_letter')}
  END`;
}

/**
 * Changes messages. Each statement first locks the lease rows, shared, and checks owner and epoch. Without
 * the lock, the check could happen before a take-over and the write after it.
 *
 * Rows that other transactions have locked are skipped, lease rows too. A statement that waited would hold
 * up all others of its batch, and the lease rows that it has locked could not be renewed meanwhile.
 */
export class SlotChanges {
  readonly #db: SlotConnection;
  readonly #names: SlotNames;
  readonly #mailInsert: MailInsert | undefined;
  readonly #legal: string;
  /** SQL condition: `o` is the row that was locked as `l`. */
  readonly #rowOf: string;

  constructor(db: SlotConnection, names: SlotNames, mailInsert?: MailInsert) {
    this.#db = db;
    this.#names = names;
    this.#mailInsert = mailInsert;
    this.#legal = legal(names);
    this.#rowOf = `${names.rows('o', ...CHANGEABLE)} AND o.lane = l.lane AND o.slot = l.slot AND o.seq = l.seq`;
  }

  /**
   * One statement for each run of changes that can be made at once: of rows, no row twice, or of
   * keys. Repeating a change is harmless, so the runs need no common transaction.
   */
  async change(
    incarnation: string,
    leases: readonly SlotLease[],
    changes: readonly SlotChange[],
  ): Promise<readonly SlotChangeOutcome[]> {
    const outcomes: SlotChangeOutcome[] = [];
    const lease = leaseValues(this.#names, incarnation, leases);
    for (const run of runsOf(changes)) {
      const rows =
        run.kind === 'rows'
          ? await apart(
              run.changes,
              (part) => this.#changeRows(lease, part),
              (one, error) => this.#changeRefused(lease, one, error),
            )
          : await apart(
              run.changes,
              (part) => this.#release(lease, part),
              () => UNCHANGED,
            );
      for (const { outcome } of rows) outcomes.push(outcome);
    }
    return outcomes;
  }

  /**
   * Records a change whose texts or numbers the database refuses: first with escaped texts, then
   * without them. A row that cannot be changed even so is left as it is, and does not delay the others.
   */
  async #changeRefused(
    lease: readonly unknown[],
    change: RowChange,
    error: unknown,
  ): Promise<OutcomeRow> {
    for (const plainer of [inPlainWords(change), withoutWords(change, error)]) {
      const [row] = await apart(
        [plainer],
        (part) => this.#changeRows(lease, part),
        () => UNCHANGED,
      );
      if (row !== undefined && row !== UNCHANGED) return row;
    }
    return UNCHANGED;
  }

  async #changeRows(
    values: readonly unknown[],
    changes: readonly RowChange[],
  ): Promise<readonly OutcomeRow[]> {
    const mail = mailOf(changes);
    const { rows } = await this.#db.query<OutcomeRow>({
      text: `WITH ${this.#lockedLeases()},
        wanted AS MATERIALIZED (
          SELECT * FROM unnest(
            $5::int[], $6::bigint[], $7::text[], $8::int[], $9::float8[], $10::text[], $11::text[], $12::boolean[]
          ) WITH ORDINALITY AS w (slot, seq, kind, counts, delay_ms, error, reason, blocks, place)
        ),
        locked AS MATERIALIZED (
          SELECT w.*, o.lane FROM wanted w
          JOIN leased ON leased.slot = w.slot
          JOIN ${this.#names.table} o ON ${this.#legal}
          ORDER BY o.seq FOR UPDATE OF o SKIP LOCKED
        ),
        changed AS (
          UPDATE ${this.#names.table} o SET
            lane = CASE l.kind WHEN 'hold' THEN ${String(LANES.held)} WHEN 'dead_letter' THEN ${String(LANES.dead_letter)} ELSE ${String(LANES.retrying)} END,
            due_at = CASE WHEN l.kind IN ('retry', 'retry_first') THEN clock_timestamp() + l.delay_ms * interval '1 millisecond' END,
            -- Given up twice, because the answer was lost, it was not tried once more.
            attempts = o.attempts + CASE WHEN l.lane = ${String(LANES.dead_letter)} THEN 0 ELSE l.counts END,
            error = coalesce(l.error, o.error),
            reason = CASE WHEN l.kind = 'dead_letter' THEN l.reason ELSE o.reason END,
            blocks = l.blocks,
            died_at = CASE WHEN l.kind = 'dead_letter' THEN clock_timestamp() END
          FROM locked l WHERE ${this.#rowOf}
          RETURNING l.place
        )${mail === null ? '' : `, mail AS (${this.#mail(13)})`}
        SELECT CASE
          WHEN changed.place IS NOT NULL THEN 'changed'
          WHEN leased.slot IS NULL THEN ${WITHOUT_LEASE}
          WHEN EXISTS (
            SELECT FROM ${this.#names.table} o WHERE ${this.#legal}
          ) THEN 'busy'
          ELSE 'gone'
        END AS outcome
        FROM wanted w LEFT JOIN leased USING (slot) LEFT JOIN changed USING (place) ORDER BY w.place`,
      values: [...values, ...rowArrays(changes), ...(mail ?? [])],
    });
    return rows;
  }

  /**
   * Releases all held rows of a key or none: one that stayed behind, because another transaction has
   * locked it, would be overtaken by those after it.
   */
  async #release(
    values: readonly unknown[],
    changes: readonly Release[],
  ): Promise<readonly OutcomeRow[]> {
    const held = `wanted w JOIN leased ON leased.slot = w.slot
          JOIN ${this.#names.table} o ON ${this.#names.sameKey('o', 'w')}
            AND o.lane <> 0 AND ${inLanes('o', 'held')}`;
    const { rows } = await this.#db.query<OutcomeRow>({
      text: `WITH ${this.#lockedLeases()},
        wanted AS MATERIALIZED (
          SELECT * FROM unnest($5::int[], $6::text[], $7::text[], $8::text[])
            WITH ORDINALITY AS w (slot, tenant, topic, key, place)
        ),
        locked AS MATERIALIZED (
          SELECT w.place, o.lane, o.slot, o.seq FROM ${held} ORDER BY o.seq FOR UPDATE OF o SKIP LOCKED
        ),
        busy AS MATERIALIZED (
          SELECT place FROM (SELECT w.place, count(*) AS held FROM ${held} GROUP BY w.place) AS those
          LEFT JOIN (SELECT place, count(*) AS locked FROM locked GROUP BY place) AS mine USING (place)
          WHERE mine.locked IS DISTINCT FROM those.held
        ),
        released AS (
          UPDATE ${this.#names.table} o SET lane = ${String(LANES.pending)}
          FROM locked l WHERE ${this.#rowOf}
            AND l.place NOT IN (SELECT place FROM busy)
        )
        SELECT CASE
          WHEN leased.slot IS NULL THEN ${WITHOUT_LEASE}
          WHEN w.place IN (SELECT place FROM busy) THEN 'busy'
          ELSE 'changed'
        END AS outcome
        FROM wanted w LEFT JOIN leased USING (slot) ORDER BY w.place`,
      values: [
        ...values,
        changes.map(({ key }) => key.slot),
        changes.map(({ key }) => key.tenant),
        changes.map(({ key }) => key.topic),
        changes.map(({ key }) => key.key),
      ],
    });
    return rows;
  }

  /**
   * SQL for those of the leases $3, $4 that the incarnation still has (`mine`), and of these the ones that
   * no take-over has locked (`leased`), which the incarnation keeps until the commit. The lock is the
   * weakest one that holds off a take-over: the process renews its leases beside it, however long the
   * change takes.
   */
  #lockedLeases(): string {
    const mine = leasedSlots(this.#names);
    return `mine AS (${mine}),
      leased AS MATERIALIZED (${mine} ORDER BY l.slot FOR KEY SHARE OF l SKIP LOCKED)`;
  }

  #mail(first: number): string {
    if (this.#mailInsert === undefined) {
      throw new TypeError(`The queue "${this.#names.queue}" has no sagas to send mail to.`);
    }
    return this.#mailInsert(first);
  }
}

type Run =
  | { readonly kind: 'rows'; readonly changes: RowChange[] }
  | { readonly kind: 'keys'; readonly changes: Release[] };

/**
 * Divides changes into runs: at every switch between rows and keys, and before a row that is in the run
 * already.
 */
function runsOf(changes: readonly SlotChange[]): readonly Run[] {
  const runs: Run[] = [];
  let seen = new Set<string>();
  for (const change of changes) {
    const last = runs.at(-1);
    if (change.kind === 'release') {
      if (last?.kind === 'keys') last.changes.push(change);
      else runs.push({ kind: 'keys', changes: [change] });
    } else if (last?.kind === 'rows' && !seen.has(change.place.seq)) {
      last.changes.push(change);
      seen.add(change.place.seq);
    } else {
      runs.push({ kind: 'rows', changes: [change] });
      seen = new Set([change.place.seq]);
    }
  }
  return runs;
}

function rowArrays(changes: readonly RowChange[]): unknown[] {
  return [
    changes.map(({ place }) => place.slot),
    changes.map(({ place }) => place.seq),
    changes.map((c) => (c.kind === 'retry' && c.onlyFirst === true ? 'retry_first' : c.kind)),
    changes.map((c) => (c.kind !== 'hold' && c.counts ? 1 : 0)),
    changes.map((c) => (c.kind === 'retry' ? delayOf(c.delayMs) : 0)),
    changes.map((c) => (c.kind === 'hold' || c.error === null ? null : wellFormed(c.error))),
    changes.map((c) => (c.kind === 'dead_letter' ? wellFormed(c.reason) : '')),
    changes.map((c) => c.kind === 'dead_letter' && c.block),
  ];
}

/** One array per column; null when there is none. */
function mailOf(changes: readonly RowChange[]): unknown[] | null {
  const places: number[] = [];
  const mail: NewMail[] = [];
  changes.forEach((change, i) => {
    if (change.kind !== 'dead_letter' || change.mail === undefined) return;
    // The id comes from a header. An id that is no UUID belongs to no saga of this database.
    if (!UUID.test(change.mail.sagaId)) return;
    places.push(i + 1);
    mail.push(change.mail);
  });
  if (mail.length === 0) return null;
  return [
    places,
    mail.map((m) => m.sagaId),
    mail.map((m) => m.kind),
    mail.map((m) => m.dedupeKey),
    mail.map((m) => m.data),
  ];
}

function delayOf(ms: number): number {
  return Number.isNaN(ms) ? 0 : Math.min(Math.max(0, ms), LONGEST_DELAY_MS);
}

function inPlainWords(change: RowChange): RowChange {
  switch (change.kind) {
    case 'hold':
      return change;
    case 'retry':
      return change.error === null ? change : { ...change, error: inPlainText(change.error) };
    case 'dead_letter': {
      const { mail } = change;
      return {
        ...change,
        error: inPlainText(change.error),
        reason: inPlainText(change.reason),
        ...(mail === undefined ? {} : { mail: { ...mail, data: inPlainJson(mail.data) } }),
      };
    }
  }
}

function withoutWords(change: RowChange, refused: unknown): RowChange {
  const error = `The error cannot be stored (${sqlState(refused) ?? 'it is too large'}).`;
  switch (change.kind) {
    case 'hold':
      return change;
    case 'retry':
      return change.error === null ? change : { ...change, error };
    case 'dead_letter': {
      const { kind, place, counts, block } = change;
      return { kind, place, counts, block, error, reason: 'unknown' };
    }
  }
}
