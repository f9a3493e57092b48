import { landedForm, wellFormed, type InboxKey, type InboxLine, type Message } from '@sagaz/core';
import { inPlainJson, inPlainText } from '../connection/index.js';
import { LANES, messageArrays, slotsOf } from '../slots/index.js';
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
}

/**
 * The values of {@link COLUMNS}, one array each.
 *
 * @param plain write them in characters that every database has
 */
export function valuesOf(given: readonly NewRow[], plain = false): unknown[] {
  const text = plain ? inPlainText : wellFormed;
  const rows = given.map((row) => ({ ...row, message: landedForm(row.key, row.message, text) }));
  const messages = rows.map(({ message }) => message);
  const json = (headers: Message['headers']): string =>
    plain ? inPlainJson(JSON.stringify(headers)) : JSON.stringify(headers);
  const textOf = (one: string | null): string | null => (one === null ? null : text(one));
  return [
    rows.map(({ key }) => key.id),
    rows.map(({ key }) => key.group),
    rows.map(({ key }) => key.source),
    rows.map(({ key }) => key.tenant),
    rows.map(({ queue }) => queue),
    rows.map(({ lane }) => LANES[lane]),
    slotsOf(messages),
    rows.map(({ line }) => line !== undefined),
    rows.map(({ key, line }) => (line === undefined ? null : lockOf(key, line))),
    rows.map(({ attempts }) => attempts),
    rows.map(({ delayMs }) => delayMs),
    rows.map(({ error }) => textOf(error)),
    rows.map(({ reason }) => textOf(reason)),
    rows.map(({ blocks }) => blocks),
    ...messageArrays(messages, json),
  ];
}
