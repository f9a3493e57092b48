/** The longest text that is quoted as JSON is, in UTF-16 code units; replacing is faster for longer ones. */
const LONGEST_AS_JSON = 500;
/** Control characters and lone surrogates, which JSON escapes otherwise than an array of PostgreSQL. */
const NOT_AS_JSON = /[\p{Cc}\p{Cs}]/u;

/**
 * Writes arrays of texts, numbers and booleans as PostgreSQL reads them, and leaves other parameters to the
 * client, which does the same two to ten times slower.
 */
export function withArraysAsText(values: readonly unknown[]): unknown[] {
  return values.map((value) => (Array.isArray(value) ? (arrayText(value) ?? value) : value));
}

function arrayText(elements: readonly unknown[]): string | null {
  let text = '{';
  for (let i = 0; i < elements.length; i += 1) {
    const element = elements[i];
    if (i > 0) text += ',';
    switch (typeof element) {
      case 'string':
        text += quoted(element);
        break;
      case 'number':
      case 'boolean':
        text += String(element);
        break;
      default:
        if (element !== null) return null;
        text += 'NULL';
    }
  }
  return `${text}}`;
}

function quoted(text: string): string {
  const escapes = text.includes('\\');
  if (!escapes && !text.includes('"')) return `"${text}"`;
  if (text.length <= LONGEST_AS_JSON && !NOT_AS_JSON.test(text)) return JSON.stringify(text);
  const escaped = escapes ? text.replaceAll('\\', '\\\\') : text;
  return `"${escaped.replaceAll('"', '\\"')}"`;
}
