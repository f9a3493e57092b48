import type { CustomTypesConfig } from 'pg';

const BOOL = 16;
const BYTEA = 17;
const INT2 = 21;
const INT4 = 23;
const JSON_TEXT = 114;
const NUMERIC = 1700;
const JSONB = 3802;

/** Types whose text depends on settings of the session, such as DateStyle and extra_float_digits. */
const DEPENDS_ON_THE_SESSION: ReadonlyMap<number, string> = new Map([
  [700, 'float4'],
  [701, 'float8'],
  [790, 'money'],
  [1082, 'date'],
  [1083, 'time'],
  [1114, 'timestamp'],
  [1184, 'timestamptz'],
  [1186, 'interval'],
  [1266, 'timetz'],
]);

const own = new Map<number, (value: string) => unknown>([
  [BOOL, (value) => value === 't'],
  [BYTEA, bytesOf],
  [INT2, Number],
  [INT4, Number],
  [NUMERIC, Number],
  [JSON_TEXT, (value): unknown => JSON.parse(value)],
  [JSONB, (value): unknown => JSON.parse(value)],
]);

const BACKSLASH = 0x5c;

/**
 * Reads bytes in both forms of `bytea_output`. They cannot be confused: in the form "escape" a
 * backslash is followed by another one or by three octal digits, never by an x.
 */
function bytesOf(value: string): Buffer {
  if (value.startsWith('\\x')) return Buffer.from(value.slice(2), 'hex');
  const bytes = Buffer.alloc(value.length);
  let length = 0;
  for (let at = 0; at < value.length; at += 1) {
    let byte = value.charCodeAt(at);
    if (byte === BACKSLASH) {
      const escaped = value.charCodeAt(at + 1) === BACKSLASH;
      if (!escaped) byte = Number.parseInt(value.slice(at + 1, at + 4), 8);
      at += escaped ? 1 : 3;
    }
    bytes[length] = byte;
    length += 1;
  }
  return bytes.subarray(0, length);
}

const asText = (value: string): unknown => value;

function parserOf(oid: number): (value: string) => unknown {
  const refused = DEPENDS_ON_THE_SESSION.get(oid);
  if (refused === undefined) return own.get(oid) ?? asText;
  return () => {
    throw new TypeError(
      `A column of the type ${refused} was read, whose text depends on settings of the session. Ask for epochMs(…) or an integer.`,
    );
  };
}

/**
 * The parsers of columns. They are given with every statement, because an application may have changed
 * the parsers of `pg` for the whole process (64-bit numbers as numbers, dates as strings), and an epoch
 * that is read as a rounded number would break the store. Types that are not named above stay text.
 */
export const COLUMN_TYPES: CustomTypesConfig = { getTypeParser: parserOf };

/**
 * SQL that gives an instant, or the length of an interval, in milliseconds: a number whose digits are
 * the same whatever DateStyle, TimeZone and extra_float_digits the session has.
 */
export function epochMs(expression: string): string {
  return `(extract(epoch FROM ${expression}) * 1000)`;
}
