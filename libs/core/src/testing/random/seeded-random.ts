/** Numbers from 0 (inclusive) to 1 (exclusive): the same ones for the same seed. */
export function randomOf(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4_294_967_296;
  };
}

/** One of several, by chance. */
export function pick<T>(random: () => number, first: T, ...others: readonly T[]): T {
  const at = Math.floor(random() * (others.length + 1));
  return at === 0 ? first : (others[at - 1] ?? first);
}
