import { inChild } from '../child.js';
import { checkProxy, CountingProxy, NETWORK_MS } from '../proxy.js';
import type { TransactionKind } from '../nest/works.js';
import { rounded } from '../statistics.js';
import type { SagaTrips, SagaTripsRun } from '../workers/saga-round-trips.js';
import type { TransactionRates, TransactionRun } from '../workers/transactions.js';
import type { Section } from './section.js';

/** BEGIN, the insert, COMMIT: what the bare transaction and the bare handler take through TypeORM. */
const BARE = 3;
const KINDS = ['bareTransaction', 'enqueue', 'bareHandler', 'inbox'] as const;

/** Counts round trips at the socket; this needs no quiet machine. */
export const roundTrips: Section = async ({ server, say }) => {
  const url = await server.database();
  const still = await CountingProxy.start(url);
  const slow = await CountingProxy.start(url, NETWORK_MS);
  const counting = await checkProxy(url, still.url);
  const delaying = await checkProxy(url, slow.url);
  await still.close();
  await slow.close();
  const ms = (value: number): string => `${value.toFixed(2)} ms`;
  say(
    `a round trip: ${ms(counting.straight)} straight, ${ms(counting.byProxy)} by the proxy that counts; ` +
      `${ms(delaying.byProxy)} (p90 ${ms(delaying.p90)}) by the one that takes ${ms(NETWORK_MS)}, ` +
      `which is ${ms(delaying.byProxy - delaying.straight - NETWORK_MS)} too long`,
  );
  const run: TransactionRun = {
    url: await server.database(),
    kinds: KINDS,
    count: 200,
    rounds: 1,
    networkMs: 0,
    oneByOne: true,
  };
  const [found] = await inChild<TransactionRates>('transactions', run);
  const trips = (kind: TransactionKind): number => rounded(found?.[kind]?.roundTrips ?? NaN);
  const sagaRun: SagaTripsRun = { url: await server.database(), count: 50 };
  const saga = await inChild<SagaTrips>('saga-round-trips', sagaRun);
  say(
    `round trips: business transaction ${String(trips('bareTransaction'))}, ` +
      `with a message ${String(trips('enqueue'))}; handler ${String(trips('bareHandler'))}, ` +
      `behind the inbox ${String(trips('inbox'))}; one more step of a saga ${String(rounded(saga.plainStep))}, ` +
      `one more transactional step with a statement of its own ${String(rounded(saga.transactionalStep))}`,
  );
  return {
    bareRoundTrips: trips('bareTransaction'),
    enqueueRoundTrips: rounded(trips('enqueue') - BARE),
    inboxRoundTrips: rounded(trips('inbox') - BARE),
    sagaStepRoundTrips: rounded(saga.transactionalStep),
    plainStepRoundTrips: rounded(saga.plainStep),
    proxyErrorMs: rounded(delaying.byProxy - delaying.straight - NETWORK_MS, 3),
  };
};
