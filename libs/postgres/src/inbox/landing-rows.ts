import { landedForm, placeOfKey, type InboxKey, type InboxLine, type Message } from '@sagaz/core';
import { inPlainJson, inPlainText, storable } from '../connection/index.js';
import { bytes, LANES } from '../slots/index.js';
import { lockOf } from './inbox-rows.js';

/** The columns of the rows that are written, in the order of {@link valuesOf}. */
export const COLUMNS = [
  ['inbox_id', 'text[]'],
  ['group_name', 'text[]'],
  ['inbox_source', 'text[]'],
  ['inbox_tenant', 'text[]'],
  ['queue', 'integer[]'],
  ['lane', 'integer[]'],
  ['slot', 'integer[]'],
  ['ordered', 'boolean[]'],
  ['key_hash', 'bigint[]'],
  ['attempts', 'integer[]'],
  ['delay_ms', 'float8[]'],
  ['error', 'text[]'],
  ['reason', 'text[]'],
  ['blocks', 'boolean[]'],
  ['id', 'text[]'],
  ['tenant', 'text[]'],
  ['topic', 'text[]'],
  ['key', 'text[]'],
  ['type', 'text[]'],
  ['source', 'text[]'],
  ['time', 'text[]'],
  ['content_type', 'text[]'],
  ['headers', 'text[]'],
  ['payload', 'bytea[]'],
] as const;

/** A row that is to be written with its row of the inbox. */
export interface NewRow {
  readonly key: InboxKey;
  readonly queue: number;
  readonly lane: 'pending' | 'dead_letter';
  readonly line: InboxLine | undefined;
  readonly attempts: number;
  readonly delayMs: number | null;
  readonly error: string | null;
  readonly reason: string | null;
  readonly blocks: boolean;
  readonly message: Message;
  /** As JSON. */
  readonly headers: string;
}

export type RowState = Omit<NewRow, 'message' | 'headers'>;

/** The values of {@link COLUMNS}, one array each. */
export function valuesOf(rows: readonly NewRow[]): unknown[] {
  return [
    rows.map(({ key }) => key.id),
    rows.map(({ key }) => key.group),
    rows.map(({ key }) => key.source),
    rows.map(({ key }) => key.tenant),
    rows.map(({ queue }) => queue),
    rows.map(({ lane }) => LANES[lane]),
    rows.map(({ message: m }) => placeOfKey(m.tenant, m.topic, m.key).slot),
    rows.map(({ line }) => line !== undefined),
    rows.map(({ key, line }) => (line === undefined ? null : lockOf(key, line))),
    rows.map(({ attempts }) => attempts),
    rows.map(({ delayMs }) => delayMs),
    rows.map(({ error }) => error),
    rows.map(({ reason }) => reason),
    rows.map(({ blocks }) => blocks),
    rows.map(({ message }) => message.id),
    rows.map(({ message }) => message.tenant),
    rows.map(({ message }) => message.topic),
    rows.map(({ message }) => message.key),
    rows.map(({ message }) => message.type),
    rows.map(({ message }) => message.source),
    rows.map(({ message }) => message.time),
    rows.map(({ message }) => message.contentType),
    rows.map(({ headers }) => headers),
    rows.map(({ message }) => bytes(message.payload)),
  ];
}

export function rowOf(state: RowState, given: Message): NewRow {
  const message = landedForm(state.key, given);
  return {
    ...state,
    error: state.error === null ? null : storable(state.error),
    reason: state.reason === null ? null : storable(state.reason),
    message,
    headers: JSON.stringify(message.headers),
  };
}

/** The row in characters that every database has. */
export function plainRowOf(state: RowState, given: Message): NewRow {
  const message = landedForm(state.key, given, inPlainText);
  return {
    ...state,
    error: state.error === null ? null : inPlainText(state.error),
    reason: state.reason === null ? null : inPlainText(state.reason),
    message,
    headers: inPlainJson(JSON.stringify(message.headers)),
  };
}
