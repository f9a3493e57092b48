/** How an order is to end. The id says it, so that every process and the books agree. */
export type OrderKind = 'good' | 'bad' | 'refused';

/** One order in ten fails at its last step, one in ten is refused by the other service. */
export function orderId(index: number, random: () => number): string {
  const dice = random();
  const kind: OrderKind = dice < 0.1 ? 'bad' : dice < 0.2 ? 'refused' : 'good';
  return `${kind}-${String(index).padStart(7, '0')}`;
}

/** Tommy Ettinger's mulberry32: small, and the same everywhere. */
export function seeded(seed: number): () => number {
  let state = seed | 0;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4_294_967_296;
  };
}
