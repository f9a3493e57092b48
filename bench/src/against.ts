import { loadavg } from 'node:os';
import { inChild } from './child.js';
import type { Cost } from './cost.js';
import type { LatencyFindings } from './latency.js';
import type { BenchServer } from './server.js';
import { median, rounded } from './statistics.js';
import type { LatencyPart } from './workers/latency.js';
import type { PartRate, PartRun } from './workers/part.js';
import type { SagaCost, SagaRun } from './workers/sagaz-sagas.js';

export const PARTS = [
  'sagas500',
  'sagas1',
  'append',
  'relay',
  'enqueue',
  'inbox',
  'latency',
] as const;
export type Part = (typeof PARTS)[number];

/** How many items a run of a part takes: some seconds of work, see {@link run}. */
const COUNTS: Readonly<Record<PartRun['part'], number>> = {
  append: 100_000,
  relay: 100_000,
  enqueue: 9_000,
  inbox: 18_000,
};

/** One run of a part: how long an item takes in microseconds, and its cost where it is measured. */
interface Run {
  readonly wall: number;
  readonly cost: Cost | null;
}

/** How this checkout fares against the other one: medians over the rounds, ratios pair by pair. */
export interface Paired {
  readonly part: Part;
  readonly rounds: number;
  /** Per item, microseconds: time on the clock, of this process, of the server's. */
  readonly other: readonly [wall: number, own: number, server: number];
  readonly here: readonly [wall: number, own: number, server: number];
  /** Other / here: below 1 this checkout is slower. Of wall time, and of all processor time. */
  readonly wallRatio: number;
  readonly costRatio: number;
  readonly load: number;
}

/**
 * Runs a part with the libraries of another checkout and with this one's in turn, A B B A, each time
 * in a fresh process and database of the same server, so that changes in the machine's speed affect
 * both.
 */
export async function pairPart(
  server: BenchServer,
  part: Part,
  checkout: string,
  rounds: number,
): Promise<Paired> {
  const pairs: { readonly other: Run; readonly here: Run }[] = [];
  for (let round = 0; round < rounds; round += 1) {
    const first = await run(server, part, round % 2 === 0 ? checkout : undefined);
    const second = await run(server, part, round % 2 === 0 ? undefined : checkout);
    pairs.push(round % 2 === 0 ? { other: first, here: second } : { other: second, here: first });
  }
  const ratio = (of: (run: Run) => number): number =>
    rounded(median(pairs.map(({ other, here }) => of(other) / of(here))), 3);
  return {
    part,
    rounds,
    other: medians(pairs.map(({ other }) => other)),
    here: medians(pairs.map(({ here }) => here)),
    wallRatio: ratio(({ wall }) => wall),
    costRatio: ratio(({ cost }) => (cost === null ? NaN : cost.own + cost.server)),
    load: rounded(loadavg()[0] ?? NaN, 1),
  };
}

function medians(runs: readonly Run[]): [wall: number, own: number, server: number] {
  const of = (pick: (run: Run) => number): number => Math.round(median(runs.map(pick)));
  return [
    of(({ wall }) => wall),
    of(({ cost }) => cost?.own ?? NaN),
    of(({ cost }) => cost?.server ?? NaN),
  ];
}

async function run(server: BenchServer, part: Part, checkout: string | undefined): Promise<Run> {
  const url = await server.database();
  switch (part) {
    // Both run for some seconds, because in the first one the compiler takes more time than the sagas.
    case 'sagas500':
      return sagas({ url, inFlight: 500, count: 12_000 }, checkout);
    case 'sagas1':
      return sagas({ url, inFlight: 1, count: 1_500 }, checkout);
    case 'append':
    case 'relay':
    case 'enqueue':
    case 'inbox': {
      const input: PartRun = { part, url, count: COUNTS[part] };
      const { perSecond, cost } = await inChild<PartRate>('part', input, checkout);
      return { wall: 1e6 / perSecond, cost };
    }
    case 'latency': {
      const input: LatencyPart = { urls: [url, await server.database()], count: 3_000 };
      const { handler } = await inChild<LatencyFindings>('latency', input, checkout);
      return { wall: handler.p50 * 1_000, cost: null };
    }
  }
}

async function sagas(input: SagaRun, checkout: string | undefined): Promise<Run> {
  const { perSecond, cost } = await inChild<SagaCost>('sagaz-sagas', input, checkout);
  return { wall: 1e6 / perSecond, cost };
}
