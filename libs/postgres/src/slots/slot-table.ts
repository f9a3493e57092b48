import type { QueuedMessage } from '@sagaz/core';
import type { Queryable, SchemaName } from '../connection/index.js';

/** A table that is a queue cut into slots, and what of it one queue is. */
export interface SlotTable {
  readonly schema: SchemaName;
  /** The queue's name in `slot_lease`. */
  readonly queue: string;
  /** Name of the table, without the schema; its sequence is `<table>_seq`. */
  readonly table: string;
  /** SQL that picks the queue's rows where the table holds several: `consumer_group = 7`. */
  readonly only?: string;
}

/** Where statements run: a pool, each statement in a transaction of its own. */
export type SlotConnection = Queryable;

/** Names as they stand in SQL text. */
export class SlotNames {
  readonly queue: string;
  readonly table: string;
  readonly lease: string;
  readonly member: string;
  readonly sequence: string;
  /** A condition on the rows of the queue, always true where they have the table to themselves. */
  readonly #only: string | undefined;

  constructor({ schema, queue, table, only }: SlotTable) {
    this.queue = queue;
    this.table = `${schema.quoted}.${table}`;
    this.lease = `${schema.quoted}.slot_lease`;
    this.member = `${schema.quoted}.slot_member`;
    this.sequence = `${schema.quoted}.${table}_seq`;
    this.#only = only;
  }

  /** `AND alias.consumer_group = 7`, or nothing. */
  and(alias: string): string {
    return this.#only === undefined ? '' : `AND ${alias}.${this.#only}`;
  }
}

/** A row as {@link MESSAGE_COLUMNS} read it. */
export interface MessageRow {
  readonly slot: number;
  readonly seq: string;
  readonly attempts: number;
  readonly ordered: boolean;
  readonly age_ms: number;
  readonly id: string;
  readonly tenant: string;
  readonly topic: string;
  readonly key: string;
  readonly type: string;
  readonly source: string;
  readonly time: string;
  readonly content_type: string;
  readonly headers: string;
  readonly payload: Buffer;
}

/** Columns of a message of the row `o`. Headers as text: `pg` parses JSON as the application told it to. */
export const MESSAGE_COLUMNS = `o.slot, o.seq, o.attempts, o.ordered,
  date_part('epoch', clock_timestamp() - o.created_at) * 1000 AS age_ms,
  o.id, o.tenant, o.topic, o.key, o.type, o.source, o.time, o.content_type, o.headers::text AS headers, o.payload`;

export function queuedMessage(row: MessageRow): QueuedMessage {
  return {
    slot: row.slot,
    seq: row.seq,
    attempts: row.attempts,
    ordered: row.ordered,
    ageMs: row.age_ms,
    message: {
      id: row.id,
      tenant: row.tenant,
      topic: row.topic,
      key: row.key,
      type: row.type,
      source: row.source,
      time: row.time,
      contentType: row.content_type,
      payload: row.payload,
      headers: headersOf(row.headers),
    },
  };
}

/** Shared by the many messages that have none. */
const NO_HEADERS: Readonly<Record<string, string>> = Object.freeze({});

function headersOf(text: string): Readonly<Record<string, string>> {
  return text === '{}' ? NO_HEADERS : (JSON.parse(text) as Record<string, string>);
}
