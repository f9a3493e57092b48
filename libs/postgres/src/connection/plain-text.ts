/** The most characters that are kept of a text which cannot be stored unchanged. */
const LONGEST = 10_000;

/**
 * Writes a text in characters that every encoding of PostgreSQL has. Characters other than printable
 * ASCII are escaped as in JSON (`\u20ac`). For texts that people read and that must not be lost because
 * of one character.
 */
export function inPlainText(text: string): string {
  return escaped(text.slice(0, LONGEST));
}

/** Writes a JSON text with the same meaning in such characters. */
export function inPlainJson(json: string): string {
  return escaped(json);
}

function escaped(text: string): string {
  return text.replace(
    /[^\t\n\r\x20-\x7e]/g,
    (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
}
