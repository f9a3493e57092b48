import pg from 'pg';
import { answer } from '../child.js';
import { withCost } from '../cost.js';
import { drive } from '../measure.js';
import { copyOf, recordSaga, type RecordedSaga } from '../sagas/recorded-saga.js';
import { quantile } from '../statistics.js';
import { openStore } from '../store.js';
import type { SagaCost, SagaRun } from './sagaz-sagas.js';

export interface BareSagaRun extends SagaRun {
  /**
   * `rows`: the rows of a three-step saga, by the statements of the store, without the engine. `chain`:
   * a bare insert for each commit of a saga, one after the other.
   */
  readonly limit: 'rows' | 'chain';
}

/** So many sagas are written by a statement where 500 are in flight, on so many connections at once. */
const GROUP = 90;
const CONNECTIONS = 4;
/** A three-step saga is committed by its start and by each of its steps. */
const COMMITS = 4;

await answer(({ limit, ...run }: BareSagaRun): Promise<SagaCost> => {
  switch (limit) {
    case 'rows':
      return rows(run);
    case 'chain':
      return chain(run);
  }
});

async function rows({ url, inFlight, count }: SagaRun): Promise<SagaCost> {
  const store = await openStore(url);
  const recorded = await recordSaga(store);
  const size = inFlight === 1 ? 1 : GROUP;
  const write = async (group: readonly RecordedSaga[]): Promise<void> => {
    const began = await store.sagas.start(group.map(({ start }) => start));
    require('started', began);
    for (let turn = 0; turn < recorded.transitions.length; turn += 1) {
      const transitions = group.flatMap((one) => one.transitions[turn] ?? []);
      require('applied', await store.sagas.flush(transitions));
    }
  };
  const run = async (total: number): Promise<SagaCost> => {
    const groups = Math.ceil(total / size);
    // Made beforehand, because what an engine decides is not part of this limit.
    const copies = Array.from({ length: groups }, () =>
      Array.from({ length: size }, () => copyOf(recorded)),
    );
    return measured(url, groups, size, inFlight === 1 ? 1 : CONNECTIONS, (index) =>
      write(copies[index] ?? []),
    );
  };
  await run(2 * size + 200);
  const cost = await run(count);
  await store.close();
  return cost;
}

function require(kind: string, outcomes: readonly { readonly kind: string }[]): void {
  const other = outcomes.find((outcome) => outcome.kind !== kind);
  if (other !== undefined) throw new Error(`The store answered '${other.kind}', not '${kind}'.`);
}

async function chain({ url, count }: SagaRun): Promise<SagaCost> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  await client.query('CREATE TABLE chain (id bigserial PRIMARY KEY, content text NOT NULL)');
  const insert = {
    name: 'chain',
    text: 'INSERT INTO chain (content) VALUES ($1)',
    values: ['x'.repeat(400)],
  };
  const one = async (): Promise<void> => {
    for (let commit = 0; commit < COMMITS; commit += 1) await client.query(insert);
  };
  await drive(200, 1, one);
  const cost = await measured(url, count, 1, 1, one);
  await client.end();
  return cost;
}

async function measured(
  url: string,
  groups: number,
  size: number,
  inFlight: number,
  work: (index: number) => Promise<void>,
): Promise<SagaCost> {
  const durations: number[] = [];
  const { value: ms, cost } = await withCost(url, groups * size, () =>
    drive(groups, inFlight, async (index) => {
      const began = performance.now();
      await work(index);
      durations.push(performance.now() - began);
    }),
  );
  return { perSecond: ((groups * size) / ms) * 1000, p50: quantile(durations, 0.5), cost };
}
