import type { Cost } from './cost.js';
import { median } from './statistics.js';

/** The figures of one candidate in one round. */
export interface Measured {
  readonly perSecond: number;
  /** Null: not measured. */
  readonly cost: Cost | null;
}

/** Several candidates, measured in turn, A B C A B C …, so that changes in the machine's speed affect all. */
export class Rounds<K extends string> {
  constructor(private readonly rounds: readonly Readonly<Partial<Record<K, Measured>>>[]) {}

  /** The median rate. */
  perSecond(kind: K): number {
    return median(this.#all(kind).map(({ perSecond }) => perSecond));
  }

  /** The median of the ratios, round by round, so that changes in the machine's speed cancel out. */
  ratio(kind: K, to: K): number {
    return median(
      this.rounds.map((round) => (round[kind]?.perSecond ?? NaN) / (round[to]?.perSecond ?? NaN)),
    );
  }

  /** The medians of the processor time; null: not measured. */
  cost(kind: K): Cost | null {
    const costs = this.#all(kind).flatMap(({ cost }) => cost ?? []);
    if (costs.length === 0) return null;
    const server = costs.flatMap((cost) => cost.server ?? []);
    return {
      own: median(costs.map(({ own }) => own)),
      server: server.length === 0 ? null : median(server),
    };
  }

  #all(kind: K): readonly Measured[] {
    return this.rounds.flatMap((round) => round[kind] ?? []);
  }
}

/** Measures several candidates in turn. */
export async function inTurn<K extends string>(
  rounds: number,
  kinds: readonly K[],
  measure: (kind: K) => Promise<Measured>,
): Promise<Rounds<K>> {
  const turns: Partial<Record<K, Measured>>[] = [];
  for (let round = 0; round < rounds; round += 1) {
    const turn: Partial<Record<K, Measured>> = {};
    for (const kind of kinds) turn[kind] = await measure(kind);
    turns.push(turn);
  }
  return new Rounds(turns);
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

/** A part of a number of items (`--scale`), in whole thousands where it is that many. */
export function scaled(count: number, scale: number): number {
  const part = count * scale;
  return part >= 2_000 ? Math.round(part / 1_000) * 1_000 : Math.max(1, Math.ceil(part));
}
