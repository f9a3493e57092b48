import {
  hintLanded,
  InboxBusyError,
  LandedRowLostError,
  wellFormed,
  type InboxDeath,
  type InboxKey,
  type InboxLine,
  type LandedRow,
  type LandedSize,
  type LandingMessage,
  type SlotQueueStore,
  type WakeUps,
} from '@sagaz/core';
import {
  apart,
  inPlainText,
  isDataError,
  isLockTimeout,
  Prepared,
  type Queryable,
  type SagazPool,
  type SchemaName,
} from '../connection/index.js';
import { inLanes, LANES, PgSlotQueue } from '../slots/index.js';
import { boundOf, limitIdleness, waitingAtMost } from './bounded-wait.js';
import { hasKey, keyValues, LOCK, lockOf } from './inbox-rows.js';
import { LandedSizes } from './landed-sizes.js';
import { queueOf } from './landing-queues.js';
import { COLUMNS, valuesOf, type NewRow } from './landing-rows.js';

/** How long a process may stand still between the last statement of a handler and its COMMIT, in ms. */
const FINISHED_IDLE_MS = 5_000;

interface BuriedRow {
  readonly leased: boolean;
  readonly ended: boolean;
  readonly dead: boolean;
}

export interface LandingsParts {
  readonly pool: SagazPool;
  readonly schema: SchemaName;
  /** Where leases are taken and renewed. */
  readonly leases: Queryable;
  readonly wakeUps: Pick<WakeUps, 'hint'> | undefined;
}

/** Writes messages into the landing queues of consumer groups, and ends them there. */
export class Landings {
  readonly #parts: LandingsParts;
  readonly #schema: string;
  readonly #numbers = new Map<string, Promise<number>>();
  readonly #queues = new Map<string, Promise<PgSlotQueue>>();
  readonly #insert: Prepared;
  readonly #finish: Prepared;
  readonly #sizes: LandedSizes;

  constructor(parts: LandingsParts) {
    this.#parts = parts;
    this.#schema = parts.schema.quoted;
    this.#sizes = new LandedSizes(parts.pool, parts.schema);
    this.#insert = new Prepared(this.#insertSql());
    this.#finish = new Prepared(`WITH leased AS MATERIALIZED (
        SELECT l.slot, ${limitIdleness(`'${String(FINISHED_IDLE_MS)}'`)}
        FROM ${this.#schema}.slot_lease l
        WHERE l.queue = $1 AND l.slot = $2 AND l.owner = $3 AND l.epoch = $4 FOR KEY SHARE
      )
      DELETE FROM ${this.#schema}.message m
      WHERE EXISTS (SELECT FROM leased) AND m.queue = $5
        AND ${inLanes('m', 'pending', 'retrying')} AND m.slot = $2 AND m.seq = $6`);
  }

  /** The queue of a group, as the process that works on it has it. */
  queue(group: string): Promise<SlotQueueStore> {
    let queue = this.#queues.get(group);
    if (queue === undefined) {
      const { pool, schema, leases } = this.#parts;
      queue = this.#numberOf(group).then(
        (number) => new PgSlotQueue(pool, { schema, queue: queueOf(group), number }, { leases }),
      );
      queue.catch(() => this.#queues.delete(group));
      this.#queues.set(group, queue);
    }
    return queue;
  }

  /** Forgets the queue of a group, which has another name now. */
  forget(group: string): void {
    this.#numbers.delete(group);
    this.#queues.delete(group);
  }

  async size(group: string, most: number): Promise<LandedSize> {
    return this.#sizes.of(await this.#numberOf(group), most);
  }

  /** One statement, on a connection of the store. */
  async land(messages: readonly LandingMessage[], waitMs: number): Promise<number> {
    if (messages.length === 0) return 0;
    const rows = await this.#rowsOf(messages);
    const run = async (part: readonly NewRow[], plain: boolean): Promise<number[]> => {
      const { rowCount } = await this.#parts.pool
        .for('inbox')
        .query(this.#insert.with([boundOf(waitMs), 'landed', ...valuesOf(part, plain)]));
      return part.map((_, at) => (at === 0 ? (rowCount ?? 0) : 0));
    };
    try {
      const counts = await apart(
        rows,
        (part) => run(part, false),
        async (one) => (await run([one], true))[0] ?? 0,
      );
      const { wakeUps } = this.#parts;
      if (wakeUps !== undefined) hintLanded(wakeUps, messages);
      return counts.reduce((sum, count) => sum + count, 0);
    } catch (error) {
      if (!isLockTimeout(error)) throw error;
      const [first] = messages;
      throw first === undefined ? error : InboxBusyError.ofMessage(first.key, waitMs, error);
    }
  }

  async finish({ key, incarnation, lease, seq }: LandedRow, on: Queryable): Promise<void> {
    const number = await this.#numberOf(key.group);
    const { rowCount } = await on.query(
      this.#finish.with([queueOf(key.group), lease.slot, incarnation, lease.epoch, number, seq]),
    );
    if (rowCount !== 1) throw new LandedRowLostError(key.group, seq);
  }

  /** Writes a dead letter and its row of the inbox. */
  async buryNew(
    on: Queryable,
    key: InboxKey,
    death: InboxDeath,
    waitMs: number,
    line: InboxLine | undefined,
  ): Promise<boolean> {
    const queue = await this.#numberOf(key.group);
    const { message, attempts, error, reason, blocks = false } = death;
    const row: NewRow = {
      key,
      queue,
      lane: 'dead_letter',
      line,
      attempts,
      delayMs: null,
      error,
      reason,
      blocks: blocks && line !== undefined,
      message,
    };
    return waitingAtMost(on, key, waitMs, async () => {
      const buried = await this.#written(on, async (plain) => {
        const { rowCount } = await on.query(
          this.#insert.with([boundOf(waitMs), 'dead', ...valuesOf([row], plain)]),
        );
        return rowCount === 1;
      });
      if (buried) await this.#forgetAttempts(on, key);
      return buried;
    });
  }

  /**
   * Makes a dead letter of a row. The lock of the key is taken first, in a statement of its own: while this
   * process waits for a frozen handler of the key, it holds no lease that it has to renew.
   */
  async buryLanded(
    on: Queryable,
    key: InboxKey,
    death: InboxDeath,
    waitMs: number,
    line: InboxLine | undefined,
    landed: LandedRow,
  ): Promise<boolean> {
    const number = await this.#numberOf(key.group);
    return waitingAtMost(on, key, waitMs, async () => {
      await on.query(LOCK.with([lockOf(key, line)]));
      const row = await this.#written(on, async (plain) => {
        const text = plain ? inPlainText : wellFormed;
        const { rows } = await on.query<BuriedRow>({
          text: `WITH leased AS MATERIALIZED (
            SELECT l.slot FROM ${this.#schema}.slot_lease l
            WHERE l.queue = $5 AND l.slot = $6 AND l.owner = $7 AND l.epoch = $8 FOR KEY SHARE
          ), ended AS (
            UPDATE ${this.#schema}.inbox i SET state = 'dead', claimed_at = clock_timestamp()
            FROM leased WHERE ${hasKey('i')} AND i.state = 'landed' RETURNING 1
          ), dead AS (
            UPDATE ${this.#schema}.message m
            SET lane = ${String(LANES.dead_letter)}, due_at = NULL, died_at = clock_timestamp(),
              attempts = $11, error = $12, reason = $13, blocks = $14 AND m.ordered
            FROM leased, ended
            WHERE m.queue = $9 AND ${inLanes('m', 'pending', 'retrying')} AND m.slot = $6
              AND m.seq = $10
            RETURNING 1
          )
          SELECT EXISTS (SELECT FROM leased) AS leased, EXISTS (SELECT FROM ended) AS ended,
            EXISTS (SELECT FROM dead) AS dead`,
          values: [
            ...keyValues(key),
            queueOf(key.group),
            landed.lease.slot,
            landed.incarnation,
            landed.lease.epoch,
            number,
            landed.seq,
            death.attempts,
            text(death.error),
            text(death.reason),
            death.blocks === true,
          ],
        });
        return rows[0];
      });
      if (row?.leased !== true || row.ended !== row.dead) {
        throw new LandedRowLostError(key.group, landed.seq);
      }
      if (row.dead) await this.#forgetAttempts(on, key);
      return row.dead;
    });
  }

  /**
   * If the database refuses a text (its encoding lacks a character), the texts are escaped, because the dead
   * letter is all that is left of the message.
   */
  async #written<T>(on: Queryable, write: (plain: boolean) => Promise<T>): Promise<T> {
    await on.query({ text: 'SAVEPOINT sagaz_letter' });
    let result: T;
    try {
      result = await write(false);
    } catch (error) {
      if (!isDataError(error)) throw error;
      await on.query({ text: 'ROLLBACK TO SAVEPOINT sagaz_letter' });
      result = await write(true);
    }
    await on.query({ text: 'RELEASE SAVEPOINT sagaz_letter' });
    return result;
  }

  async #forgetAttempts(on: Queryable, key: InboxKey): Promise<void> {
    await on.query({
      text: `DELETE FROM ${this.#schema}.inbox_attempt a WHERE ${hasKey('a')}`,
      values: keyValues(key),
    });
  }

  #numberOf(group: string): Promise<number> {
    let number = this.#numbers.get(group);
    if (number === undefined) {
      number = this.#open(group);
      // A database that is away is asked again.
      number.catch(() => this.#numbers.delete(group));
      this.#numbers.set(group, number);
    }
    return number;
  }

  async #open(group: string): Promise<number> {
    const { rows } = await this.#parts.pool.for('inbox').query<{ number: number }>({
      text: `SELECT ${this.#schema}.open_queue($1) AS number`,
      values: [queueOf(group)],
    });
    const [row] = rows;
    if (row === undefined) throw new Error('open_queue returned no row.');
    return row.number;
  }

  async #rowsOf(messages: readonly LandingMessage[]): Promise<readonly NewRow[]> {
    const rows = new Map<string, NewRow>();
    for (const { key, message, line, attempts, retry } of messages) {
      const name = JSON.stringify(keyValues(key));
      if (rows.has(name)) continue;
      rows.set(name, {
        key,
        queue: await this.#numberOf(key.group),
        lane: 'pending',
        line,
        attempts,
        delayMs: retry?.delayMs ?? null,
        error: retry?.error ?? null,
        reason: null,
        blocks: false,
        message,
      });
    }
    return [...rows.values()];
  }

  /**
   * The rows of the inbox are written in one order, whatever that of the messages, so that two callers never
   * wait for each other in a circle. The numbers are drawn above the sort by place, and so when all rows of
   * the inbox are held: a number that was drawn before a wait would appear below those of messages that were
   * read meanwhile. $1 bounds the waits; $2 is the state.
   */
  #insertSql(): string {
    const arrays = COLUMNS.map(([, type], i) => `$${String(i + 3)}::${type}`).join(', ');
    const names = COLUMNS.map(([name]) => name).join(', ');
    return `WITH bound AS MATERIALIZED (SELECT set_config('lock_timeout', $1, true) AS lock_timeout),
      w AS MATERIALIZED (
        SELECT w.* FROM bound, unnest(${arrays}) WITH ORDINALITY AS w (${names}, place)
        WHERE bound.lock_timeout IS NOT NULL
      ), i AS (
        INSERT INTO ${this.#schema}.inbox (id, group_name, source, tenant, state)
        SELECT inbox_id, group_name, inbox_source, inbox_tenant, $2 FROM w
        ORDER BY inbox_id, inbox_source, group_name, inbox_tenant
        ON CONFLICT DO NOTHING
        RETURNING id, group_name, source, tenant
      )
      INSERT INTO ${this.#schema}.message
        (queue, lane, slot, ordered, key_hash, attempts, due_at, died_at, error, reason, blocks,
          id, tenant, topic, key, type, source, time, content_type, headers, payload)
      SELECT w.queue, w.lane, w.slot, w.ordered, w.key_hash, w.attempts,
        clock_timestamp() + w.delay_ms * interval '1 millisecond',
        CASE WHEN w.lane = ${String(LANES.dead_letter)} THEN clock_timestamp() END,
        w.error, w.reason, w.blocks, w.id, w.tenant, w.topic, w.key, w.type, w.source, w.time,
        w.content_type, w.headers::json, w.payload
      FROM w JOIN i ON i.id = w.inbox_id AND i.group_name = w.group_name
        AND i.source = w.inbox_source AND i.tenant = w.inbox_tenant
      ORDER BY w.place`;
  }
}
