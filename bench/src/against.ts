import { loadavg } from 'node:os';
import { inChild } from './child.js';
import type { Cost } from './cost.js';
import type { LatencyFindings } from './latency.js';
import { scaled, type Measured } from './measure.js';
import type { TransactionKind } from './nest/works.js';
import { NETWORK_MS } from './proxy.js';
import type { BenchServer } from './server.js';
import { median, rounded } from './statistics.js';
import type { LatencyPart } from './workers/latency.js';
import type { PartRun } from './workers/part.js';
import type { SagaCost, SagaRun } from './workers/sagaz-sagas.js';
import type { TransactionRates, TransactionRun } from './workers/transactions.js';

export const PARTS = [
  'sagas500',
  'sagas1',
  'append',
  'relay',
  'enqueue',
  'inbox',
  'hotKey',
  'enqueue1ms',
  'inbox1ms',
  'hotKey1ms',
  'storeEnqueue',
  'storeInbox',
  'latency',
] as const;
export type Part = (typeof PARTS)[number];

/** One run of a part: how long an item takes in microseconds, and its cost where it is measured. */
interface Run {
  readonly wall: number;
  readonly cost: Cost | null;
}

/** How this checkout fares against the other one: medians over the rounds, ratios pair by pair. */
export interface Paired {
  readonly part: Part;
  readonly rounds: number;
  /** Per item, microseconds: time on the clock, of the Node process, of PostgreSQL's; null: not known. */
  readonly other: Times;
  readonly here: Times;
  /** Other / here, of the time on the clock: below 1 this checkout is slower. */
  readonly speed: number;
  /** Here / other, of processor time: above 1 this checkout takes more. Null: not known. */
  readonly nodeCpu: number | null;
  readonly postgresCpu: number | null;
  readonly load: number;
}
type Times = readonly [wall: number, node: number | null, postgres: number | null];

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
  scale: number,
): Promise<Paired> {
  const pairs: { readonly other: Run; readonly here: Run }[] = [];
  for (let round = 0; round < rounds; round += 1) {
    const first = await run(server, part, scale, round % 2 === 0 ? checkout : undefined);
    const second = await run(server, part, scale, round % 2 === 0 ? undefined : checkout);
    pairs.push(round % 2 === 0 ? { other: first, here: second } : { other: second, here: first });
  }
  const ratio = (of: (pair: (typeof pairs)[number]) => number | null): number | null => {
    const ratios = pairs.map(of).filter((one) => one !== null);
    return ratios.length < pairs.length ? null : rounded(median(ratios), 3);
  };
  return {
    part,
    rounds,
    other: medians(pairs.map(({ other }) => other)),
    here: medians(pairs.map(({ here }) => here)),
    speed: ratio(({ other, here }) => other.wall / here.wall) ?? NaN,
    nodeCpu: ratio(({ other, here }) => quotient(here.cost?.own, other.cost?.own)),
    postgresCpu: ratio(({ other, here }) => quotient(here.cost?.server, other.cost?.server)),
    load: rounded(loadavg()[0] ?? NaN, 1),
  };
}

function quotient(one: number | null | undefined, other: number | null | undefined): number | null {
  return typeof one === 'number' && typeof other === 'number' ? one / other : null;
}

function medians(runs: readonly Run[]): Times {
  const of = (pick: (run: Run) => number | null): number | null => {
    const known = runs.map(pick).filter((one) => one !== null);
    return known.length < runs.length ? null : Math.round(median(known));
  };
  return [
    of(({ wall }) => wall) ?? NaN,
    of(({ cost }) => cost?.own ?? null),
    of(({ cost }) => cost?.server ?? null),
  ];
}

async function run(
  server: BenchServer,
  part: Part,
  scale: number,
  checkout: string | undefined,
): Promise<Run> {
  const url = await server.database();
  switch (part) {
    // Each part runs for some seconds, because in the first one the compiler takes more time than the work.
    case 'sagas500':
      return timeOf(await sagas({ url, inFlight: 500, count: scaled(12_000, scale) }, checkout));
    case 'sagas1':
      return timeOf(await sagas({ url, inFlight: 1, count: scaled(1_500, scale) }, checkout));
    case 'append':
    case 'relay': {
      const input: PartRun = { part, url, count: scaled(100_000, scale) };
      return timeOf(await inChild<Measured>('part', input, { checkout }));
    }
    case 'enqueue':
      return transactions(url, 'enqueue', null, scaled(9_000, scale), checkout);
    case 'inbox':
      return transactions(url, 'inbox', null, scaled(18_000, scale), checkout);
    case 'hotKey':
      return transactions(url, 'hotKey', null, scaled(9_000, scale), checkout);
    case 'storeEnqueue':
      return transactions(url, 'storeEnqueue', null, scaled(9_000, scale), checkout);
    case 'storeInbox':
      return transactions(url, 'storeInbox', null, scaled(18_000, scale), checkout);
    case 'enqueue1ms':
      return transactions(url, 'enqueue', NETWORK_MS, scaled(9_000, scale), checkout);
    case 'inbox1ms':
      return transactions(url, 'inbox', NETWORK_MS, scaled(9_000, scale), checkout);
    case 'hotKey1ms':
      return transactions(url, 'hotKey', NETWORK_MS, scaled(2_000, scale), checkout);
    case 'latency': {
      const input: LatencyPart = {
        urls: [url, await server.database()],
        count: scaled(3_000, scale),
      };
      const { handler } = await inChild<LatencyFindings>('latency', input, { checkout });
      return { wall: handler.p50 * 1_000, cost: null };
    }
  }
}

function sagas(input: SagaRun, checkout: string | undefined): Promise<SagaCost> {
  return inChild<SagaCost>('sagaz-sagas', input, { checkout });
}

/** The second of two rounds, after the first has warmed caches, plans and the compiler. */
async function transactions(
  url: string,
  kind: TransactionKind,
  networkMs: number | null,
  count: number,
  checkout: string | undefined,
): Promise<Run> {
  const input: TransactionRun = { url, kinds: [kind], count, rounds: 2, networkMs };
  const rounds = await inChild<TransactionRates>('transactions', input, { checkout });
  const measured = rounds.at(-1)?.[kind];
  if (measured === undefined) throw new Error(`The worker did not measure ${kind}.`);
  return timeOf(measured);
}

function timeOf({ perSecond, cost }: Measured): Run {
  return { wall: 1e6 / perSecond, cost };
}
