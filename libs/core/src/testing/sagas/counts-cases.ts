import assert from 'node:assert/strict';
import { SharedCounts } from '../../counts/index.js';
import type { SagaStore, StoreCounts } from '../../ports/index.js';
import type { ContractCase } from '../contract-case.js';
import { VirtualClock } from '../virtual-clock.js';
import type { SagaStoreFixture } from './saga-material.js';

const COUNTS: StoreCounts = {
  sagas: new Map([
    ['running', 3],
    ['needs_attention', 1],
  ]),
  outbox: new Map([
    ['pending', 7],
    ['dead_letter', 2],
  ]),
  oldestPendingMs: 1_500.5,
  deadLetters: 4,
  landings: [{ group: 'billing', waiting: 5, oldestMs: 2_000.5 }],
};

/** A process that counts, and how often it did. */
function counting(sagas: SagaStore): { readonly counts: SharedCounts; times(): number } {
  let times = 0;
  const counts = new SharedCounts(
    {
      sagas,
      outbox: {
        stats: () => {
          times += 1;
          return Promise.resolve({ byStatus: new Map(), oldestPendingMs: null });
        },
      },
      inbox: {
        countDeadLetters: () => Promise.resolve(times),
        landingBacklog: () => Promise.resolve([]),
      },
    },
    { clock: new VirtualClock(), everyMs: 1, staleMs: 600_000 },
  );
  return { counts, times: () => times };
}

export const countsCases: readonly ContractCase<SagaStoreFixture>[] = [
  {
    name: 'keeps counts for every process, and says how old they are',
    guards: 'A process that shows counts of its own, or old ones as new, misleads who reads them.',
    async run(fixture) {
      const { sagas, other } = fixture;
      await sagas.keepCounts({ ...COUNTS, deadLetters: 0 });
      await sagas.keepCounts(COUNTS);
      await fixture.pass(50);
      const kept = await other.keptCounts();
      assert.ok(kept !== null);
      const { ageMs, ...counts } = kept;
      assert.deepEqual(
        { ...counts, sagas: [...counts.sagas].sort(), outbox: [...counts.outbox].sort() },
        { ...COUNTS, sagas: [...COUNTS.sagas].sort(), outbox: [...COUNTS.outbox].sort() },
      );
      assert.ok(ageMs >= 40, `The counts are ${String(ageMs)} ms old.`);
      await sagas.keepCounts({ ...COUNTS, oldestPendingMs: null });
      const next = await other.keptCounts();
      assert.ok(next !== null && next.ageMs < 600_000 && next.oldestPendingMs === null);
    },
  },
  {
    name: 'lets no second process count while one has the turn, and the next one when it has died',
    guards: 'Twenty processes that count at each scrape cost the database twenty times the work.',
    async run(fixture) {
      const { sagas, other } = fixture;
      const [mine, its] = [counting(sagas), counting(other)];
      await sagas.keepCounts({ ...COUNTS, deadLetters: 77 });
      // A process took the turn and died.
      await sagas.takeTurn('counts', 1);
      await fixture.pass(50);
      assert.equal((await its.counts.latest())?.deadLetters, 1);
      assert.equal(its.times(), 1);
      await fixture.pass(50);
      // Another one has the turn for long.
      assert.ok(await sagas.takeTurn('counts', 600_000));
      const shown = await Promise.all([mine.counts.latest(), its.counts.latest()]);
      assert.deepEqual(
        shown.map((counts) => counts?.deadLetters),
        [1, 1],
      );
      assert.deepEqual([mine.times(), its.times()], [0, 1]);
    },
  },
];
