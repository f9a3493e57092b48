import { answer } from '../child.js';
import { withCost } from '../cost.js';
import { drive, type Measured } from '../measure.js';
import { APPLICATION, startApplication, withoutSagaz } from '../nest/application.js';
import { createBusinessTables } from '../nest/business.js';
import { without } from '../nest/handlers.js';
import { storeWorks } from '../nest/store-works.js';
import { workOf, type TransactionKind } from '../nest/works.js';
import { CountingProxy } from '../proxy.js';
import { perSecond } from '../statistics.js';

export interface TransactionRun {
  readonly url: string;
  readonly kinds: readonly TransactionKind[];
  readonly count: number;
  readonly rounds: number;
  /** The time that the proxy adds to a round trip, in milliseconds; null: no proxy. */
  readonly networkMs: number | null;
  /** Runs one at a time and counts round trips as well; needs a proxy. */
  readonly oneByOne?: boolean;
}

export interface TransactionRate extends Measured {
  /** Round trips of the application's pool for each; null: not counted. */
  readonly roundTrips: number | null;
}
/** The rate of each kind, round by round. */
export type TransactionRates = readonly Readonly<
  Partial<Record<TransactionKind, TransactionRate>>
>[];

const IN_FLIGHT = 16;

/** One more connection than work in flight, because Sagaz keeps one free for what does not join. */
const POOL = IN_FLIGHT + 1;

await answer(async (run: TransactionRun): Promise<TransactionRates> => {
  await createBusinessTables(run.url);
  const proxy = run.networkMs === null ? null : await CountingProxy.start(run.url, run.networkMs);
  const url = proxy?.url ?? run.url;
  const application = await startApplication({ url, poolSize: POOL, roles: { consume: true } });
  const bare = await withoutSagaz(url, POOL);
  without.dataSource = bare;
  const store = await storeWorks(url, POOL);
  const works = workOf(application, bare, store);
  const inFlight = run.oneByOne === true ? 1 : IN_FLIGHT;
  const rounds: Partial<Record<TransactionKind, TransactionRate>>[] = [];
  for (const kind of run.kinds) await drive(Math.min(500, run.count), inFlight, works[kind](500));
  for (let round = 0; round < run.rounds; round += 1) {
    const rates: Partial<Record<TransactionKind, TransactionRate>> = {};
    for (const kind of run.kinds) {
      const work = works[kind](run.count);
      const before = await flights(proxy);
      const { value: ms, cost } = await withCost(run.url, run.count, () =>
        drive(run.count, inFlight, work),
      );
      const trips = (await flights(proxy)) - before;
      rates[kind] = {
        perSecond: perSecond(run.count, ms),
        cost,
        roundTrips: run.oneByOne === true ? trips / run.count : null,
      };
    }
    rounds.push(rates);
  }
  await store.close();
  await bare.destroy();
  await application.app.close();
  await proxy?.close();
  return rounds;
});

async function flights(proxy: CountingProxy | null): Promise<number> {
  return proxy === null ? NaN : ((await proxy.flights())[APPLICATION] ?? 0);
}
