import assert from 'node:assert/strict';
import type { UnservedSagas } from '../../ports/index.js';
import { freshName, type ContractCase } from '../contract-case.js';
import {
  deadEngine,
  engine,
  letter,
  newSaga,
  openTransaction,
  ownedSaga,
  type SagaStoreFixture,
} from './saga-material.js';

const LIMIT = 1_000;

/** Gives the findings of a look for one name only, because other cases leave sagas behind that nobody serves. */
async function unserved(
  fixture: SagaStoreFixture,
  name: string,
  olderThanMs = 0,
): Promise<UnservedSagas[]> {
  const found = await fixture.other.unserved({ olderThanMs, limit: LIMIT });
  return found.filter((one) => one.name === name);
}

export const unservedCases: readonly ContractCase<SagaStoreFixture>[] = [
  {
    name: 'finds due sagas whose version no living engine runs, each version by itself',
    guards: 'A version that was taken out of every process leaves sagas that nobody speaks of.',
    async run(fixture) {
      const name = freshName('saga');
      await engine(fixture, 600_000, [{ name, versions: [2, 4] }]);
      const old = [newSaga({ name, version: 1 }), newSaga({ name, version: 1 })];
      await fixture.sagas.start([
        ...old,
        newSaga({ name, version: 2 }),
        newSaga({ name, version: 3 }),
      ]);
      await fixture.pass(5);
      const found = await unserved(fixture, name);
      assert.deepEqual(found.map(({ version, count }) => [version, count]).toSorted(), [
        [1, 2],
        [3, 1],
      ]);
      const first = found.find(({ version }) => version === 1);
      assert.ok(old.some(({ id }) => id === first?.example));
      assert.ok(first !== undefined && first.oldestMs > 0);
    },
  },
  {
    name: 'finds unserved sagas that are due by mail, and those of a dead engine',
    guards: 'A claim finds sagas in three ways; a look that knows one of them hides the others.',
    async run(fixture) {
      const name = freshName('saga');
      const asleep = newSaga({ name, status: 'waiting', wakeInMs: null });
      await fixture.sagas.start([asleep]);
      await ownedSaga(fixture, deadEngine(), { name, version: 2 });
      await fixture.pass(5);
      const before = await unserved(fixture, name);
      assert.deepEqual(
        before.map(({ version, count }) => [version, count]),
        [[2, 1]],
      );
      await fixture.sagas.putMail([letter(asleep.id)]);
      await fixture.pass(5);
      const after = await unserved(fixture, name);
      assert.deepEqual(after.map(({ version, count }) => [version, count]).toSorted(), [
        [1, 1],
        [2, 1],
      ]);
    },
  },
  {
    name: 'finds unserved sagas also where all engines have crashed and none is left to declare them dead',
    guards: 'The row of the last engine stays for ever, and would serve its sagas in appearance.',
    async run(fixture) {
      const name = freshName('saga');
      const crashed = await engine(fixture, 1, [{ name, versions: [1] }]);
      await ownedSaga(fixture, crashed, { name });
      await fixture.sagas.start([newSaga({ name })]);
      await fixture.pass(20);
      assert.deepEqual(
        (await unserved(fixture, name)).map(({ version, count }) => [version, count]),
        [[1, 2]],
      );
      await fixture.pass(1_000);
      // The look must come within a second of the heartbeat, for which a machine may have no time.
      for (let tries = 0; tries < 20; tries += 1) {
        await engine(fixture, 1, [{ name, versions: [1] }]);
        await fixture.pass(5);
        if ((await unserved(fixture, name, 1_000)).length === 0) return;
      }
      assert.fail('An engine whose heartbeat is a little late lives.');
    },
  },
  {
    name: 'does not call sagas unserved that wait, are owned by a living engine, or became due just now',
    guards: 'An alarm that rings at every restart is one that nobody reads.',
    async run(fixture) {
      const name = freshName('saga');
      const me = await engine(fixture);
      await ownedSaga(fixture, me, { name });
      await fixture.sagas.start([
        newSaga({ name, wakeInMs: 600_000 }),
        newSaga({ name, wakeInMs: null }),
        newSaga({ name }),
      ]);
      assert.deepEqual(await unserved(fixture, name, 600_000), []);
      const due = await unserved(fixture, name);
      assert.deepEqual(
        due.map(({ count }) => count),
        [1],
      );
    },
  },
  {
    name: 'finds an unserved saga whose row is locked, and locks none itself',
    guards: 'A look that waits for a lock stops with it, and one that locks stops the claims.',
    async run(fixture) {
      const name = freshName('saga');
      const owner = deadEngine();
      const saga = await ownedSaga(fixture, owner, { name });
      await fixture.pass(5);
      const open = await openTransaction(fixture, (transaction) =>
        fixture.sagas.apply(
          {
            id: saga.transitionId,
            sagaId: saga.id,
            owner,
            epoch: 1,
            revision: 0,
            status: 'running',
            ownership: { kind: 'keep' },
            entries: saga.entries,
            messages: [],
            consumedMail: [],
            mail: [],
            sagas: [],
            becomes: null,
          },
          transaction,
        ),
      );
      try {
        assert.equal((await unserved(fixture, name)).length, 1);
      } finally {
        await open.rollback();
      }
    },
  },
];
