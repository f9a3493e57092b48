/** So much of a text is kept where it cannot be kept as it is. */
const LONGEST = 10_000;

/**
 * A text in characters that every encoding of PostgreSQL has: what is not printable ASCII stands as in
 * JSON (`\u20ac`). For texts that tell people something and must not be lost for one character.
 */
export function inPlainText(text: string): string {
  return escaped(text.slice(0, LONGEST));
}

/** JSON text that means the same, in such characters. */
export function inPlainJson(json: string): string {
  return escaped(json);
}

function escaped(text: string): string {
  return text.replace(
    /[^\t\n\r\x20-\x7e]/g,
    (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
}

/** A text as a database in UTF8 can hold it: without NUL and without half a surrogate pair. */
export function storable(text: string): string {
  return text.replace(/\0|[\ud800-\udfff]/gu, '\ufffd');
}
