import assert from 'node:assert/strict';
import type { ContractCase } from '../contract-case.js';
import { freshName } from '../contract-case.js';
import {
  claim,
  engine,
  entry,
  letter,
  newSaga,
  ownedSaga,
  transition,
  type SagaStoreFixture,
} from './saga-material.js';

const LARGE = 200_000;
const large = JSON.stringify('x'.repeat(LARGE));

export const bytesCases: readonly ContractCase<SagaStoreFixture>[] = [
  {
    name: 'claims sagas up to the one that brings their journals and their mail to the bound',
    guards:
      'A few hundred sagas of a megabyte claimed at once kill their engine, and then the next one.',
    async run(fixture) {
      const me = await engine(fixture);
      const name = freshName('saga');
      const sagas = Array.from({ length: 6 }, () =>
        newSaga({ name, entries: [entry('saga_started', large)] }),
      );
      await fixture.sagas.start(sagas);
      const take = async (bytes: number) => (await claim(fixture, me, name, { bytes })).length;
      assert.equal(await take(1), 1);
      assert.equal(await take(LARGE + LARGE / 2), 2);
      assert.equal(await take(100 * LARGE), 3);
      assert.equal(await take(1), 0);
      const mailed = Array.from({ length: 3 }, () => newSaga({ name, wakeInMs: null }));
      await fixture.sagas.start(mailed);
      await fixture.sagas.putMail(mailed.map(({ id }) => letter(id, { data: large })));
      assert.equal(await take(LARGE + LARGE / 2), 2);
      assert.equal(await take(1), 1);
    },
  },
  {
    name: 'loads sagas up to the one that brings their journals to the bound',
    guards: 'Sagas whose claim was never answered come back all at once.',
    async run(fixture) {
      const me = await engine(fixture);
      const ids: string[] = [];
      for (let n = 0; n < 4; n += 1) {
        const saga = await ownedSaga(fixture, me);
        await fixture.sagas.flush([transition(saga, me, { entries: [entry('step', large)] })]);
        ids.push(saga.id);
      }
      assert.equal((await fixture.sagas.load(ids, me, 1)).length, 1);
      assert.equal((await fixture.sagas.load(ids, me, LARGE + LARGE / 2)).length, 2);
      assert.equal((await fixture.sagas.load(ids, me)).length, 4);
    },
  },
];
