/** A text that every store and broker can hold: without NUL and without lone surrogates. */
export function wellFormed(text: string): string {
  return text.replace(/\0|[\ud800-\udfff]/gu, '\ufffd');
}

/** The beginning of a text, well formed; `…` at its end shows that it was shortened. */
export function bounded(text: string, longest: number): string {
  return text.length <= longest ? wellFormed(text) : `${wellFormed(text.slice(0, longest - 1))}…`;
}
