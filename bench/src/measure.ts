import { median } from './statistics.js';

export interface Turns<K extends string> {
  /** The median rate. */
  perSecond(kind: K): number;
  /** The median of the ratios, turn by turn, so that changes in the machine's speed cancel out. */
  ratio(kind: K, to: K): number;
}

/**
 * Measures several candidates in turn, A B C A B C …, so that changes in the machine's speed affect
 * all of them.
 */
export async function inTurn<K extends string>(
  rounds: number,
  kinds: Readonly<Record<K, () => Promise<number>>>,
): Promise<Turns<K>> {
  const names = Object.keys(kinds) as K[];
  const turns: Record<K, number>[] = [];
  for (let round = 0; round < rounds; round += 1) {
    const turn: Partial<Record<K, number>> = {};
    for (const name of names) turn[name] = await kinds[name]();
    turns.push(turn as Record<K, number>);
  }
  return {
    perSecond: (kind) => median(turns.map((turn) => turn[kind])),
    ratio: (kind, to) => median(turns.map((turn) => turn[kind] / turn[to])),
  };
}

/** Runs `work` `count` times, `inFlight` at once, and answers the milliseconds. */
export async function drive(
  count: number,
  inFlight: number,
  work: (index: number) => Promise<unknown>,
): Promise<number> {
  let next = 0;
  const began = performance.now();
  await Promise.all(
    Array.from({ length: Math.min(inFlight, count) }, async () => {
      while (next < count) {
        const index = next;
        next += 1;
        await work(index);
      }
    }),
  );
  return performance.now() - began;
}
