/**
 * Control characters, among them NUL, which PostgreSQL stores in no text, and halves of surrogate
 * pairs, which it changes.
 */
const UNPRINTABLE = /[\p{Cc}\p{Cs}]/u;

/** Whether a value is a text that stores and brokers carry unchanged. */
export function isLine(value: unknown): value is string {
  return typeof value === 'string' && !UNPRINTABLE.test(value);
}
