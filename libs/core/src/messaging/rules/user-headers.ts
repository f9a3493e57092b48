import { valueText } from '../../errors/index.js';
import { isLine } from './line.js';

/** Headers of a message by name. Names are lower-case. */
export type MessageHeaders = Readonly<Record<string, string>>;

const RESERVED = /^(sagaz-|ce_|content-type$)/;
/** RabbitMQ closes the connection over headers that fill a frame of 128 kB. */
const LARGEST = 65_536;

export const HEADER_REMEDY =
  "Use letters, digits, '-', '_' and '.' in names, lines of text in values, each name once, and leave names that begin with 'sagaz-' or 'ce_', and 'content-type', to Sagaz.";

/**
 * Checks a user's headers and returns them with names in lower case. `refuse` makes the error for a
 * header that brokers would not carry unchanged.
 */
export function userHeaders(
  given: unknown,
  refuse: (header: string, problem: string) => Error,
): MessageHeaders {
  if (given === undefined) return {};
  if (typeof given !== 'object' || given === null || Array.isArray(given)) {
    throw refuse(valueText(given), 'is no object of names and values');
  }
  const lower = new Map<string, string>();
  let bytes = 0;
  for (const [name, value] of Object.entries(given) as [string, unknown][]) {
    const key = name.toLowerCase();
    // `__proto__`: clients of brokers keep headers in plain objects, where it would be lost in silence.
    if (!/^[a-z0-9_.-]+$/.test(key) || key === '__proto__') throw refuse(name, 'has no such name');
    if (RESERVED.test(key)) throw refuse(name, 'belongs to Sagaz');
    if (typeof value !== 'string') throw refuse(name, 'is no text');
    // Brokers carry headers as lines of text, some of them literally.
    if (!isLine(value)) throw refuse(name, 'is no line of text');
    if (lower.has(key)) throw refuse(name, 'is there twice');
    bytes += key.length + Buffer.byteLength(value);
    if (bytes > LARGEST) throw refuse(name, `makes its headers longer than ${LARGEST} bytes`);
    lower.set(key, value);
  }
  return Object.fromEntries(lower);
}
