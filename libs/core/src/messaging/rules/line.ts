/** Controls, NUL among them, which PostgreSQL takes in no text; and halves of characters, which it bends. */
const UNPRINTABLE = /[\p{Cc}\p{Cs}]/u;

/** Whether a value is a text that stores and brokers carry as it is. */
export function isLine(value: unknown): value is string {
  return typeof value === 'string' && !UNPRINTABLE.test(value);
}
