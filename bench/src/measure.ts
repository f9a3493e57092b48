import { median } from './statistics.js';

export interface Pair {
  /** Medians, per second. */
  readonly a: number;
  readonly b: number;
  /** The median of a/b, pair by pair: the machine's own ups and downs cancel out. */
  readonly ratio: number;
}

/** Measures two things in turn, A B A B …, so that both see the same weather. */
export async function inTurn(
  rounds: number,
  a: () => Promise<number>,
  b: () => Promise<number>,
): Promise<Pair> {
  const as: number[] = [];
  const bs: number[] = [];
  const ratios: number[] = [];
  for (let round = 0; round < rounds; round += 1) {
    const one = await a();
    const other = await b();
    as.push(one);
    bs.push(other);
    ratios.push(one / other);
  }
  return { a: median(as), b: median(bs), ratio: median(ratios) };
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
