/** A text that every store and broker can hold: without NUL and without halves of characters. */
export function wellFormed(text: string): string {
  return text.replace(/\0|[\ud800-\udfff]/gu, '\ufffd');
}

/** The beginning of a text, well formed; what was cut off is told by `…`. */
export function bounded(text: string, longest: number): string {
  return text.length <= longest ? wellFormed(text) : `${wellFormed(text.slice(0, longest - 1))}…`;
}
