import { FAULT_POINTS } from '@sagaz/core';
import { postgresServers } from '@sagaz/test-support';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { readBooks, type Books } from './books.fixture.js';
import { FIRST_NOTES, MATRIX_WORK, promiseHolds } from './promises.fixture.js';
import { KILL_CELLS, PROMISES, type KillCell } from './src/cells.js';
import { Child, faultText, Template, type Ended } from './world.fixture.js';

const AT_ONCE = 3;

const server = postgresServers()[0]!;

interface Run {
  readonly killed: Ended;
  readonly healthy: Ended | null;
  readonly books: Books;
}

let template: Template;

/** One process dies at the point; where it did, another one goes on until nothing is left to do. */
async function run({ promises: _, retryMs, ...place }: KillCell): Promise<Run> {
  const database = await template.copy();
  try {
    const scenario = { url: database.url, ...MATRIX_WORK };
    const fault = { ...place, action: 'kill' as const };
    const first = { ...scenario, notes: FIRST_NOTES, fault };
    const killed = await new Child(retryMs === undefined ? first : { ...first, retryMs }).ended;
    const healthy = killed.signal === 'SIGKILL' ? await new Child(scenario).ended : null;
    return { killed, healthy, books: await readBooks(database.url) };
  } finally {
    await database.drop();
  }
}

it('has a cell for every fault point', () => {
  const covered = new Set(KILL_CELLS.map(({ point }) => point));
  expect(FAULT_POINTS.filter((point) => !covered.has(point))).toEqual([]);
});

it('has cells for every promise', () => {
  const covered = new Set(KILL_CELLS.flatMap(({ promises }) => promises));
  expect(Object.keys(PROMISES).filter((name) => ![...covered].map(String).includes(name))).toEqual(
    [],
  );
});

describe('when a process is killed', () => {
  const runs = new Map<KillCell, Promise<Run>>();
  const start = (cell: KillCell): Promise<Run> => {
    const known = runs.get(cell) ?? run(cell);
    runs.set(cell, known);
    return known;
  };
  beforeAll(async () => {
    template = await Template.create(server);
  });
  afterAll(async () => {
    await Promise.allSettled(runs.values());
    await template.drop();
  });

  describe.each(KILL_CELLS.map((cell, i) => [faultText(cell), cell, i] as const))(
    'at %s',
    (_at, cell, i) => {
      // A run mostly waits for leases to expire: the next ones wait at the same time.
      beforeAll(() => {
        for (const next of KILL_CELLS.slice(i, i + AT_ONCE)) void start(next).catch(() => {});
      });

      it.each(cell.promises.map((promise) => [promise, PROMISES[promise]] as const))(
        '%i: %s',
        async (promise) => {
          const { killed, healthy, books } = await start(cell);
          expect(killed, `the point was not reached:\n${killed.stderr}`).toMatchObject({
            signal: 'SIGKILL',
          });
          expect(healthy?.code, `the survivor did not finish:\n${healthy?.stderr}`).toBe(0);
          promiseHolds[promise](books, MATRIX_WORK);
        },
        150_000,
      );
    },
  );
});
