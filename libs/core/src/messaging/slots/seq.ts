/**
 * Compares numbers of a 64-bit sequence, which are decimal strings without leading zeros: a longer
 * one is greater, and equal lengths compare as text. No conversion, because this runs per row.
 */
export function compareSeq(a: string, b: string): number {
  if (a.length !== b.length) return a.length - b.length;
  return a < b ? -1 : a > b ? 1 : 0;
}

export function minSeq(a: string, b: string): string {
  return compareSeq(a, b) <= 0 ? a : b;
}

/** The number before; `'0'` has none. */
export function seqBefore(seq: string): string {
  return seq === '0' ? '0' : (BigInt(seq) - 1n).toString();
}
