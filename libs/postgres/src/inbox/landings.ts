import {
  InboxBusyError,
  landedForm,
  LandedRowLostError,
  landingChannel,
  hintSlots,
  type InboxDeath,
  type InboxKey,
  type InboxLine,
  type LandedRow,
  type LandingMessage,
  type Message,
  type SlotQueueStore,
  type WakeUps,
} from '@sagaz/core';
import {
  apart,
  inPlainText,
  isLockTimeout,
  Prepared,
  storable,
  type Queryable,
  type SagazPool,
  type SchemaName,
} from '../connection/index.js';
import { inLanes, LANES, PgSlotQueue } from '../slots/index.js';
import { boundOf, waitingAtMost } from './bounded-wait.js';
import { hasKey, keyValues, lockOf } from './inbox-rows.js';
import { queueOf } from './landing-queues.js';
import {
  COLUMNS,
  plainRowOf,
  rowOf,
  valuesOf,
  type NewRow,
  type RowState,
} from './landing-rows.js';

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

  constructor(parts: LandingsParts) {
    this.#parts = parts;
    this.#schema = parts.schema.quoted;
    this.#insert = new Prepared(this.#insertSql());
    this.#finish = new Prepared(`WITH leased AS MATERIALIZED (
        SELECT l.slot, set_config('idle_in_transaction_session_timeout', '${String(FINISHED_IDLE_MS)}', true)
        FROM ${this.#schema}.slot_lease l
        WHERE l.queue = $1 AND l.slot = $2 AND l.owner = $3 AND l.epoch = $4 FOR KEY SHARE
      )
      DELETE FROM ${this.#schema}.message m USING leased
      WHERE m.queue = $5 AND ${inLanes('m', 'pending', 'retrying')}
        AND m.slot = leased.slot AND m.seq = $6`);
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

  /** One statement, on a connection of the store. */
  async land(messages: readonly LandingMessage[], waitMs: number): Promise<number> {
    if (messages.length === 0) return 0;
    const given = await this.#statesOf(messages);
    const run = async (part: readonly NewRow[]): Promise<number[]> => {
      const { rowCount } = await this.#parts.pool
        .for('inbox')
        .query(this.#insert.with([boundOf(waitMs), 'landed', ...valuesOf(part)]));
      return part.map((_, at) => (at === 0 ? (rowCount ?? 0) : 0));
    };
    try {
      const counts = await apart(
        given,
        (part) => run(part.map(({ state, message }) => rowOf(state, message))),
        async ({ state, message }) => (await run([plainRowOf(state, message)]))[0] ?? 0,
      );
      this.#hint(messages);
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

  /**
   * Writes a dead letter and its row of the inbox. If the database refuses a text (its encoding lacks a
   * character), the text is escaped, because the dead letter is all that is left of the message.
   */
  async buryNew(
    on: Queryable,
    key: InboxKey,
    death: InboxDeath,
    waitMs: number,
    line: InboxLine | undefined,
  ): Promise<boolean> {
    const queue = await this.#numberOf(key.group);
    const { message, attempts, error, reason, blocks = false } = death;
    const state: RowState = {
      key,
      queue,
      lane: 'dead_letter',
      line,
      attempts,
      delayMs: null,
      error,
      reason,
      blocks: blocks && line !== undefined,
    };
    const put = async (one: NewRow): Promise<boolean> => {
      const { rowCount } = await on.query(
        this.#insert.with([boundOf(waitMs), 'dead', ...valuesOf([one])]),
      );
      return rowCount === 1;
    };
    return waitingAtMost(on, key, waitMs, async () => {
      await on.query({ text: 'SAVEPOINT sagaz_letter' });
      const [buried = false] = await apart(
        [message],
        async () => [await put(rowOf(state, message))],
        async () => {
          await on.query({ text: 'ROLLBACK TO SAVEPOINT sagaz_letter' });
          return put(plainRowOf(state, message));
        },
      );
      await on.query({ text: 'RELEASE SAVEPOINT sagaz_letter' });
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
      await on.query({
        text: 'SELECT pg_advisory_xact_lock($1::bigint)',
        values: [lockOf(key, line)],
      });
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
            WHERE m.queue = $9 AND ${inLanes('m', 'pending', 'retrying')}
              AND m.slot = leased.slot AND m.seq = $10
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
          inPlainText(storable(death.error)),
          inPlainText(storable(death.reason)),
          death.blocks === true,
        ],
      });
      const [row] = rows;
      if (row?.leased !== true || row.ended !== row.dead) {
        throw new LandedRowLostError(key.group, landed.seq);
      }
      if (row.dead) await this.#forgetAttempts(on, key);
      return row.dead;
    });
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

  async #statesOf(
    messages: readonly LandingMessage[],
  ): Promise<readonly { readonly state: RowState; readonly message: Message }[]> {
    const rows = new Map<string, { readonly state: RowState; readonly message: Message }>();
    for (const { key, message, line, attempts, retry } of messages) {
      const name = JSON.stringify(keyValues(key));
      if (rows.has(name)) continue;
      const state: RowState = {
        key,
        queue: await this.#numberOf(key.group),
        lane: 'pending',
        line,
        attempts,
        delayMs: retry?.delayMs ?? null,
        error: retry?.error ?? null,
        reason: null,
        blocks: false,
      };
      rows.set(name, { state, message });
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

  #hint(messages: readonly LandingMessage[]): void {
    const { wakeUps } = this.#parts;
    if (wakeUps === undefined) return;
    for (const group of new Set(messages.map(({ key }) => key.group))) {
      const those = messages.filter(({ key }) => key.group === group);
      const rows = those.map(({ key, message }) => landedForm(key, message));
      hintSlots(wakeUps, landingChannel(group), rows);
    }
  }
}
