import {
  DEFAULT_RETENTION,
  FORMAT,
  newId,
  SharedCounts,
  systemClock,
  type RunnableSaga,
  type Store,
} from '@sagaz/core';
import { fill, relayRate } from './drain.js';
import { drive, scaled } from './measure.js';
import { copyOf, recordSaga } from './sagas/recorded-saga.js';
import { ThreeSteps, threeStepsEngine } from './sagas/three-steps.js';
import { withClient, type BenchServer } from './server.js';
import { median } from './statistics.js';
import { openStore } from './store.js';
import { multiplySagas, refill, setAside } from './tables.js';

/** The cost of a statement, or the rate of a relay, in an empty store and in a full one. */
export interface Growth {
  readonly empty: number;
  readonly full: number;
}
/** Milliseconds of each statement, and the messages a second of a drain. */
export interface GrowthFindings {
  readonly claim: Growth;
  readonly scrape: Growth;
  readonly find: Growth;
  readonly prune: Growth;
  readonly drain: Growth;
}

/** The numbers of rows in the full store. */
export const FULL = {
  ended: 1_000_000,
  foreignLetters: 200_000,
  foreignDue: 100_000,
  away: 1_000_000,
};

/** Sagas that both stores hold, so that lists have something to answer. */
const COMMON = 200;
const MINUTE_MS = 60_000;
const DAY_MS = 24 * 60 * MINUTE_MS;
const COUNTING = { clock: systemClock, everyMs: 5_000, staleMs: MINUTE_MS };
const RUNS: readonly RunnableSaga[] = [{ name: 'three-steps', versions: [1] }];

/** Statements that a process repeats by itself, or that a person causes, each as the store's own method. */
const STATEMENTS = {
  /** A look for sagas to run, which finds none. */
  claim: async (store, incarnation) => {
    const request = { incarnation, definitions: RUNS, format: FORMAT, limit: 100 };
    const claimed = await store.sagas.claim(request);
    if (claimed.length > 0) throw new Error('A saga was claimed, though none was due.');
  },
  /** A scrape of the metrics: one of all processes counts every five seconds, and the others read that. */
  scrape: async (store) => {
    await new SharedCounts(store, COUNTING).latest();
  },
  /** The newest sagas, those that need a person (there are none), and one by its key. */
  find: async (store) => {
    await store.sagas.find({ name: 'three-steps', limit: 50 });
    await store.sagas.find({ statuses: ['needs_attention'], limit: 50 });
    await store.sagas.find({ name: 'three-steps', key: 'key-0' });
  },
  /** The removals that a process makes once a minute. */
  prune: async (store) => {
    while ((await store.sagas.dropDeadMail(DAY_MS, FORMAT)).more);
    await store.sagas.removeOld(DEFAULT_RETENTION, 500);
    await store.inbox.prune(7 * DAY_MS, 1_000);
  },
} satisfies Record<string, (store: Store, incarnation: string) => Promise<void>>;

/**
 * Measures an empty store and one that holds what years and outages leave behind, in turn. The sagas and
 * the queue are measured in databases of their own.
 */
export async function growths(server: BenchServer, scale: number): Promise<GrowthFindings> {
  return { ...(await statements(server, scale)), drain: await drain(server, scale) };
}

async function statements(
  server: BenchServer,
  scale: number,
): Promise<Omit<GrowthFindings, 'drain'>> {
  const emptyUrl = await server.database();
  const fullUrl = await server.database();
  const empty = await openStore(emptyUrl);
  const full = await openStore(fullUrl);
  try {
    await common(empty);
    await fillSagas(full, fullUrl, scale, await common(full));
    const emptyEngine = await register(empty);
    const fullEngine = await register(full);
    const compare = async (name: keyof typeof STATEMENTS): Promise<Growth> => {
      const times = { empty: [] as number[], full: [] as number[] };
      const began = performance.now();
      // For twenty seconds, or as long as three turns take.
      for (let turn = 0; turn < 103; turn += 1) {
        const pair = {
          empty: await timed(() => STATEMENTS[name](empty, emptyEngine)),
          full: await timed(() => STATEMENTS[name](full, fullEngine)),
        };
        // The first turns prepare statements.
        if (turn < 3) continue;
        times.empty.push(pair.empty);
        times.full.push(pair.full);
        if (turn >= 6 && performance.now() - began > 20_000) break;
      }
      return { empty: median(times.empty), full: median(times.full) };
    };
    return {
      claim: await compare('claim'),
      scrape: await compare('scrape'),
      find: await compare('find'),
      prune: await compare('prune'),
    };
  } finally {
    await empty.close();
    await full.close();
  }
}

async function timed(work: () => Promise<void>): Promise<number> {
  const began = performance.now();
  await work();
  return performance.now() - began;
}

/** Runs some sagas to their end and answers the id of one. */
async function common(store: Store): Promise<string> {
  const engine = await threeStepsEngine(store);
  await drive(COMMON, 20, async (index) => {
    const handle = await engine.start(ThreeSteps, index, {
      idempotencyKey: `key-${String(index)}`,
    });
    await handle.result({ timeout: '60s' });
  });
  const unkeyed = await engine.start(ThreeSteps, 0);
  await unkeyed.result({ timeout: '60s' });
  await engine.close();
  return unkeyed.id;
}

/** An engine that lives and runs the common sagas, but none of the foreign ones. */
async function register(store: Store): Promise<string> {
  const incarnation = newId();
  await store.engines.register({
    incarnation,
    service: 'bench',
    host: 'bench',
    pid: process.pid,
    ttlMs: 60 * MINUTE_MS,
    runs: RUNS,
    format: FORMAT,
  });
  return incarnation;
}

/** Ended sagas, and sagas of a definition that no engine here can run: some have a letter, some are due. */
async function fillSagas(store: Store, url: string, scale: number, ended: string): Promise<void> {
  const { start } = await recordSaga(store);
  const foreign = {
    ...start,
    name: 'foreign',
    status: 'waiting',
    owner: null,
    wakeInMs: null,
  } as const;
  const mailed = copyOf({ start: foreign, transitions: [] }).start;
  const due = { ...copyOf({ start: foreign, transitions: [] }).start, wakeInMs: 0 };
  await store.sagas.start([mailed, due]);
  await store.sagas.putMail([
    { sagaId: mailed.id, kind: 'cancel', dedupeKey: 'bench', data: '{}' },
  ]);
  await withClient(url, async (client) => {
    await multiplySagas(client, [ended], scaled(FULL.ended, scale));
    await multiplySagas(client, [mailed.id], scaled(FULL.foreignLetters, scale));
    await multiplySagas(client, [due.id], scaled(FULL.foreignDue, scale));
    await client.query('VACUUM ANALYZE');
  });
}

/** The rate of a relay beside a topic that is away. It is stopped after half a minute. */
async function drain(server: BenchServer, scale: number): Promise<Growth> {
  const rows = scaled(50_000, scale);
  const fullUrl = await server.database();
  const empty = await openStore(await server.database());
  const full = await openStore(fullUrl);
  try {
    const away = scaled(FULL.away, scale);
    const seed = Math.min(away, 10_000);
    await fill(full, seed, 'away');
    await withClient(fullUrl, async (client) => {
      await setAside(client);
      await refill(client, Math.ceil(away / seed));
      await client.query('VACUUM ANALYZE');
    });
    const rates = { empty: [] as number[], full: [] as number[] };
    for (let round = 0; round < 3; round += 1) {
      await fill(empty, rows);
      rates.empty.push(await relayRate(empty, rows, { away: 'away', withinMs: 30_000 }));
      await fill(full, rows);
      rates.full.push(await relayRate(full, rows, { away: 'away', withinMs: 30_000 }));
    }
    return { empty: median(rates.empty), full: median(rates.full) };
  } finally {
    await empty.close();
    await full.close();
  }
}
