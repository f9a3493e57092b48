import assert from 'node:assert/strict';
import type { FinalStatus, NewSaga, SagaRetention } from '../../ports/index.js';
import { freshName, type ContractCase } from '../contract-case.js';
import {
  engine,
  entry,
  letter,
  newSaga,
  ownedSaga,
  transition,
  type SagaStoreFixture,
} from './saga-material.js';

const NEVER: SagaRetention = {
  completed: null,
  compensated: null,
  partially_committed: null,
  terminated: null,
  keys: null,
};

async function ended(
  fixture: SagaStoreFixture,
  owner: string,
  status: FinalStatus,
  change: Partial<NewSaga>,
): Promise<NewSaga> {
  const saga = await ownedSaga(fixture, owner, change);
  await fixture.sagas.flush([transition(saga, owner, { status })]);
  return saga;
}

export const retentionCases: readonly ContractCase<SagaStoreFixture>[] = [
  {
    name: 'removes what has ended for longer than its status is kept, whole, and nothing else',
    guards:
      'A store that keeps all grows for ever; one that removes too much forgets what people ask for.',
    async run(fixture) {
      const me = await engine(fixture);
      const name = freshName('saga');
      const [done, partial] = [
        await ended(fixture, me, 'completed', { name }),
        await ended(fixture, me, 'partially_committed', { name }),
      ];
      const running = await ownedSaga(fixture, me, { name });
      const parked = await ownedSaga(fixture, me, { name });
      await fixture.sagas.flush([transition(parked, me, { status: 'needs_attention' })]);
      const large = { ...entry('step_completed', `"${'x'.repeat(5_000)}"`), onDemand: true };
      const whole = await ownedSaga(fixture, me, { entries: [entry('saga_started'), large] });
      await fixture.sagas.flush([transition(whole, me, { status: 'completed' })]);
      const places = [{ revision: 0, ordinal: 1 }];
      assert.notEqual((await fixture.sagas.dataOf(whole.id, places))[0], null);
      await fixture.sagas.putMail([letter(done.id, { kind: 'late' })]);
      await fixture.pass(60);
      const keep = { ...NEVER, completed: 30, compensated: 30, terminated: 30 };
      for (;;) {
        if (!(await fixture.sagas.removeOld({ ...keep, completed: 600_000 }, 500)).more) break;
      }
      assert.notEqual(await fixture.sagas.get(done.id), null);
      for (;;) if (!(await fixture.sagas.removeOld(keep, 500)).more) break;
      assert.equal(await fixture.sagas.get(done.id), null);
      assert.deepEqual(await fixture.sagas.history(done.id), []);
      assert.deepEqual(await fixture.sagas.dataOf(whole.id, places), [null]);
      assert.deepEqual(
        (await fixture.sagas.find({ name })).map(({ id }) => id),
        [parked, running, partial].map(({ id }) => id),
      );
      for (const { id } of [partial, running, parked]) {
        assert.ok((await fixture.sagas.history(id)).length > 0);
      }
    },
  },
  {
    name: 'removes in small batches, the oldest first, and says whether there may be more',
    guards: 'One statement for a month of sagas holds their locks for minutes, and is cut off.',
    async run(fixture) {
      const me = await engine(fixture);
      const name = freshName('saga');
      const all: NewSaga[] = [];
      for (let at = 0; at < 5; at += 1) all.push(await ended(fixture, me, 'terminated', { name }));
      await fixture.pass(60);
      const keep = { ...NEVER, terminated: 30 };
      let before = 5;
      for (;;) {
        const removed = await fixture.sagas.removeOld(keep, 2);
        const left = (await fixture.sagas.find({ name })).map(({ id }) => id);
        assert.ok(before - left.length <= 2);
        assert.deepEqual(
          left,
          all
            .map(({ id }) => id)
            .slice(5 - left.length)
            .toReversed(),
        );
        before = left.length;
        assert.equal(removed.more, removed.sagas >= 2);
        if (!removed.more) break;
      }
      assert.equal(before, 0);
    },
  },
  {
    name: 'keeps an idempotency key for its own time, and the key of a saga that goes on',
    guards: 'A start that is repeated after its saga was removed would be a second saga.',
    async run(fixture) {
      const me = await engine(fixture);
      const name = freshName('saga');
      const gone = await ended(fixture, me, 'completed', { name, key: 'gone' });
      const running = await ownedSaga(fixture, me, { name, key: 'running' });
      await fixture.pass(60);
      const again = (key: string) => fixture.other.start([newSaga({ name, key })]);
      const sagasOnly = { ...NEVER, completed: 30 };
      for (;;) if (!(await fixture.sagas.removeOld(sagasOnly, 500)).more) break;
      assert.equal(await fixture.sagas.get(gone.id), null);
      const { inputDigest } = gone;
      assert.deepEqual(await again('gone'), [
        { kind: 'exists', id: gone.id, inputDigest, sameStart: false },
      ]);
      for (;;) if (!(await fixture.sagas.removeOld({ ...NEVER, keys: 30 }, 3)).more) break;
      assert.deepEqual(await again('running'), [
        { kind: 'exists', id: running.id, inputDigest, sameStart: false },
      ]);
      assert.deepEqual(await again('gone'), [{ kind: 'started' }]);
    },
  },
  {
    name: 'gives the turn of a shared task to one of many processes, once in each interval',
    guards:
      'Twenty processes that count, tidy and remove cost the database twenty times the work of one.',
    async run(fixture) {
      const { sagas, other } = fixture;
      await sagas.takeTurn('mail', 1);
      await fixture.pass(50);
      const asked = Array.from({ length: 10 }, (_, at) =>
        (at % 2 === 0 ? sagas : other).takeTurn('mail', 600_000),
      );
      assert.equal((await Promise.all(asked)).filter((mine) => mine).length, 1);
      // Another task has its own turns, and its next one when the interval is over.
      await sagas.takeTurn('retention', 1);
      await fixture.pass(50);
      assert.ok(await other.takeTurn('retention', 1));
    },
  },
];
