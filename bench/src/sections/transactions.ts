import { inChild } from '../child.js';
import { Rounds, scaled } from '../measure.js';
import type { TransactionKind } from '../nest/works.js';
import { NETWORK_MS } from '../proxy.js';
import { rounded } from '../statistics.js';
import type { TransactionRates, TransactionRun } from '../workers/transactions.js';
import { cpu, cpuMicros, times, whole, type Run, type Section } from './section.js';

const ROUNDS = 5;
const COUNT = 6_000;
const COUNT_AT_1MS = 3_000;

async function measured(
  { server, scale }: Run,
  kinds: readonly TransactionKind[],
  count: number,
  networkMs: number | null = null,
): Promise<Rounds<TransactionKind>> {
  const run: TransactionRun = {
    url: await server.database(),
    kinds,
    count: scaled(count, scale),
    rounds: scale < 1 ? 2 : ROUNDS,
    networkMs,
  };
  return new Rounds(await inChild<TransactionRates>('transactions', run));
}

/** A business transaction of an application: alone, with a plain second insert, and with a message. */
export const enqueue: Section = async (run) => {
  const found = await measured(
    run,
    ['bareTransaction', 'plainInsert', 'enqueue', 'hotKey', 'storeBare', 'storeEnqueue'],
    COUNT,
  );
  run.say(
    `business transaction: ${whole(found.perSecond('bareTransaction'))}/s${cpu(found.cost('bareTransaction'))}; ` +
      `with a plain second insert ${times(found.ratio('plainInsert', 'bareTransaction'))}; ` +
      `with a message ${times(found.ratio('enqueue', 'bareTransaction'))}${cpu(found.cost('enqueue'))}; ` +
      `with a message of one key for all ${whole(found.perSecond('hotKey'))}/s, ` +
      `${times(found.ratio('hotKey', 'bareTransaction'))}; ` +
      `below TypeORM: ${whole(found.perSecond('storeBare'))}/s, with a message ${times(found.ratio('storeEnqueue', 'storeBare'))}`,
  );
  return {
    enqueueVsBare: rounded(found.ratio('enqueue', 'bareTransaction')),
    plainInsertVsBare: rounded(found.ratio('plainInsert', 'bareTransaction')),
    storeEnqueueVsBare: rounded(found.ratio('storeEnqueue', 'storeBare')),
    hotKey: rounded(found.ratio('hotKey', 'bareTransaction')),
    enqueueMicros: cpuMicros(found.cost('enqueue')),
    bareTransactionMicros: cpuMicros(found.cost('bareTransaction')),
  };
};

/** A handler of an application: alone, with a plain insert of the message's id, and behind the inbox. */
export const inbox: Section = async (run) => {
  const found = await measured(
    run,
    ['bareHandler', 'plainId', 'inbox', 'storeBare', 'storeInbox'],
    COUNT,
  );
  run.say(
    `handler: ${whole(found.perSecond('bareHandler'))}/s${cpu(found.cost('bareHandler'))}; ` +
      `with a plain insert of the message's id ${times(found.ratio('plainId', 'bareHandler'))}; ` +
      `behind the inbox ${times(found.ratio('inbox', 'bareHandler'))}${cpu(found.cost('inbox'))}; ` +
      `below Nest: ${whole(found.perSecond('storeBare'))}/s, behind the inbox ${times(found.ratio('storeInbox', 'storeBare'))}`,
  );
  return {
    inboxVsBare: rounded(found.ratio('inbox', 'bareHandler')),
    storeInboxVsBare: rounded(found.ratio('storeInbox', 'storeBare')),
    plainIdVsBare: rounded(found.ratio('plainId', 'bareHandler')),
    inboxMicros: cpuMicros(found.cost('inbox')),
    bareHandlerMicros: cpuMicros(found.cost('bareHandler')),
  };
};

/** The same two once more, where a round trip takes a millisecond longer. */
export const network: Section = async (run) => {
  const kinds = ['bareTransaction', 'enqueue', 'hotKey', 'bareHandler', 'inbox'] as const;
  const found = await measured(run, kinds, COUNT_AT_1MS, NETWORK_MS);
  run.say(
    `at ${String(NETWORK_MS)} ms: business transaction ${whole(found.perSecond('bareTransaction'))}/s, ` +
      `with a message ${times(found.ratio('enqueue', 'bareTransaction'))}, ` +
      `with a message of one key for all ${times(found.ratio('hotKey', 'bareTransaction'))}; ` +
      `handler ${whole(found.perSecond('bareHandler'))}/s, ` +
      `behind the inbox ${times(found.ratio('inbox', 'bareHandler'))}`,
  );
  return {
    enqueueVsBareAt1ms: rounded(found.ratio('enqueue', 'bareTransaction')),
    inboxVsBareAt1ms: rounded(found.ratio('inbox', 'bareHandler')),
    hotKeyAt1ms: rounded(found.ratio('hotKey', 'bareTransaction')),
  };
};
