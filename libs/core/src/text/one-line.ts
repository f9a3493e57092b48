/**
 * Control characters, line and paragraph separators, and marks that change the direction of writing.
 * With any of them a text can end the line it is part of, or look like another text.
 */
const CONTROLS = /[\p{Cc}\u2028\u2029\u200e\u200f\u202a-\u202e\u2066-\u2069]/gu;
const NAMED: Readonly<Record<string, string>> = { '\n': '\\n', '\r': '\\r', '\t': '\\t' };

/** The text with every control character escaped, so that an event stays one line of a log. */
export function oneLine(text: string): string {
  return text.replace(
    CONTROLS,
    (found) => NAMED[found] ?? `\\u${found.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
}
