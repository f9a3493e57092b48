import type { CustomTypesConfig } from 'pg';

const BOOL = 16;
const BYTEA = 17;
const INT2 = 21;
const INT4 = 23;
const FLOAT4 = 700;
const FLOAT8 = 701;
const TIMESTAMPTZ = 1184;
const JSON_TEXT = 114;
const JSONB = 3802;

const own = new Map<number, (value: string) => unknown>([
  [BOOL, (value) => value === 't'],
  [BYTEA, (value) => Buffer.from(value.slice(2), 'hex')],
  [INT2, Number],
  [INT4, Number],
  [FLOAT4, Number],
  [FLOAT8, Number],
  [TIMESTAMPTZ, instant],
  [JSON_TEXT, (value): unknown => JSON.parse(value)],
  [JSONB, (value): unknown => JSON.parse(value)],
]);

function instant(value: string): Date {
  const parts = /^(\d{4,}-\d\d-\d\d) (\d\d:\d\d:\d\d)(\.\d{1,3})?\d*([+-]\d\d)(:\d\d)?$/.exec(
    value,
  );
  if (parts === null) return new Date(value);
  const [, day, time, fraction = '', hours, minutes = ':00'] = parts;
  return new Date(`${day}T${time}${fraction}${hours}${minutes}`);
}

const asText = (value: string): unknown => value;

/**
 * How columns are read. Given with every statement, because an application may have changed the
 * parsers of `pg` for the whole process (64-bit numbers as numbers, dates as strings), and a store
 * that reads an epoch as a rounded number is no store. What is not named above stays text.
 */
export const COLUMN_TYPES: CustomTypesConfig = {
  getTypeParser: (oid: number): ((value: string) => unknown) => own.get(oid) ?? asText,
};
