import pg from 'pg';
import type { CustomTypesConfig } from 'pg';

const BOOL = 16;
const BYTEA = 17;
const INT8 = 20;
const INT2 = 21;
const INT4 = 23;
const FLOAT4 = 700;
const FLOAT8 = 701;
const TIMESTAMPTZ = 1184;
const NUMERIC = 1700;
const UUID = 2950;
const TEXT = 25;

const own = new Map<number, (value: string) => unknown>([
  [BOOL, (value) => value === 't'],
  [BYTEA, (value) => Buffer.from(value.slice(2), 'hex')],
  [INT8, (value) => value],
  [INT2, Number],
  [INT4, Number],
  [FLOAT4, Number],
  [FLOAT8, Number],
  [TIMESTAMPTZ, instant],
  [NUMERIC, (value) => value],
  [UUID, (value) => value],
  [TEXT, (value) => value],
]);

function instant(value: string): Date {
  const parts = /^(\d{4,}-\d\d-\d\d) (\d\d:\d\d:\d\d)(\.\d{1,3})?\d*([+-]\d\d)(:\d\d)?$/.exec(
    value,
  );
  if (parts === null) return new Date(value);
  const [, day, time, fraction = '', hours, minutes = ':00'] = parts;
  return new Date(`${day}T${time}${fraction}${hours}${minutes}`);
}

/**
 * How columns are read. Given with every statement, because an application may have changed the
 * parsers of `pg` for the whole process (64-bit numbers as numbers, dates as strings), and a store
 * that reads an epoch as a rounded number is no store.
 */
export const COLUMN_TYPES: CustomTypesConfig = {
  getTypeParser(oid: number, format?: string) {
    const parser = format === 'binary' ? undefined : own.get(oid);
    return parser ?? pg.types.getTypeParser(oid, 'text');
  },
};
