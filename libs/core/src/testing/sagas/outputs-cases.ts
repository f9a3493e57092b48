import assert from 'node:assert/strict';
import type { JournalEntry } from '../../ports/index.js';
import { freshName, type ContractCase } from '../contract-case.js';
import {
  claim,
  engine,
  entry,
  newSaga,
  ownedSaga,
  transition,
  type SagaStoreFixture,
} from './saga-material.js';

const LARGE = 200_000;
const text = (letter: string): string => JSON.stringify({ output: letter.repeat(LARGE) });
const output = (data: string): JournalEntry => ({
  ...entry('step_completed', data),
  onDemand: true,
});
const BYTES = Buffer.byteLength(text('a'));

export const outputsCases: readonly ContractCase<SagaStoreFixture>[] = [
  {
    name: 'leaves large data that is read on demand in the store when a saga is loaded, and reads it when asked',
    guards: 'A few sagas with large outputs of earlier steps fill the memory of each engine.',
    async run(fixture) {
      const { sagas, other } = fixture;
      const me = await engine(fixture);
      const saga = await ownedSaga(fixture, me);
      await sagas.flush([
        transition(saga, me, {
          entries: [output(text('a')), entry('step', text('b')), output('{"output":1}')],
        }),
      ]);
      const next = { epoch: 1, revision: 1, entries: [output(text('c'))] };
      await sagas.flush([transition(saga, me, next)]);
      const left = [
        ['{"input":1}', undefined],
        [null, BYTES],
        [text('b'), undefined],
        ['{"output":1}', undefined],
        [null, BYTES],
      ];
      const [loaded] = await sagas.load([saga.id], me);
      const told = await other.history(saga.id, { onDemand: 'leave' });
      for (const entries of [loaded?.entries ?? [], told]) {
        assert.deepEqual(
          entries.map(({ data, apart }) => [data, apart]),
          left,
        );
      }
      assert.deepEqual(
        (await other.history(saga.id)).map(({ data, apart }) => [data, apart]),
        ['{"input":1}', text('a'), text('b'), '{"output":1}', text('c')].map((data) => [
          data,
          undefined,
        ]),
      );
      const places = [
        { revision: 2, ordinal: 0 },
        { revision: 7, ordinal: 0 },
        { revision: 1, ordinal: 0 },
      ];
      assert.deepEqual(await other.dataOf(saga.id, places), [text('c'), null, text('a')]);
      assert.deepEqual(await sagas.dataOf(saga.id, places, 1), [text('c')]);
      assert.deepEqual((await sagas.dataOf(saga.id, places, BYTES + 1)).length, 3);
      assert.deepEqual(await sagas.dataOf(saga.id, []), []);
    },
  },
  {
    name: 'claims as many sagas as fit without the data that is read on demand',
    guards:
      'Sagas that put out much would be claimed one by one, though their engine holds little of it.',
    async run(fixture) {
      const me = await engine(fixture);
      const name = freshName('saga');
      const started = Array.from({ length: 5 }, () =>
        newSaga({ name, entries: [entry('saga_started', '{"input":1}'), output(text('a'))] }),
      );
      await fixture.sagas.start(started);
      const claimed = await claim(fixture, me, name, { bytes: LARGE });
      assert.equal(claimed.length, 5);
      assert.deepEqual(
        claimed.flatMap(({ entries }) => entries.map(({ apart }) => apart)),
        started.flatMap(() => [undefined, BYTES]),
      );
    },
  },
];
