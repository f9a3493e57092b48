import assert from 'node:assert/strict';
import type { ContractCase } from '../contract-case.js';
import { freshName } from '../contract-case.js';
import { newId } from '../../ids.js';
import {
  engine,
  entry,
  newSaga,
  openTransaction,
  ownedSaga,
  transition,
  type SagaStoreFixture,
} from './saga-material.js';

export const queryCases: readonly ContractCase<SagaStoreFixture>[] = [
  {
    name: 'finds sagas by tenant, name, key and status, newest first, page by page',
    guards: 'What a person looks for is found, and no page repeats or leaves out any.',
    async run(fixture) {
      const name = freshName('saga');
      const tenant = freshName('tenant');
      const sagas = Array.from({ length: 5 }, (_, at) =>
        newSaga({ id: newId(), name, tenant, key: `k${at}` }),
      );
      await fixture.sagas.start(sagas);
      const newest = sagas.map(({ id }) => id).toReversed();
      assert.deepEqual(
        (await fixture.sagas.find({ name })).map(({ id }) => id),
        newest,
      );
      const first = await fixture.sagas.find({ tenant, limit: 2 });
      assert.deepEqual(
        first.map(({ id }) => id),
        newest.slice(0, 2),
      );
      const rest = await fixture.sagas.find({ tenant, limit: 10, before: newest[1] ?? '' });
      assert.deepEqual(
        rest.map(({ id }) => id),
        newest.slice(2),
      );
      const byKey = await fixture.sagas.find({ name, key: 'k3' });
      assert.deepEqual(
        byKey.map(({ key }) => key),
        ['k3'],
      );
      assert.deepEqual(await fixture.sagas.find({ name, statuses: ['completed'] }), []);
      assert.equal(
        (await fixture.sagas.find({ name, statuses: ['completed', 'pending'] })).length,
        5,
      );
    },
  },
  {
    name: 'tells where many sagas stand by their ids, and nothing of those that do not exist',
    guards: 'Whoever waits for the ends of a thousand sagas asks once, not a thousand times.',
    async run(fixture) {
      const me = await engine(fixture);
      const one = await ownedSaga(fixture, me);
      const two = newSaga();
      await fixture.sagas.start([two]);
      const ids = [one.id, newId(), two.id, 'no id at all'];
      assert.deepEqual(
        await fixture.other.statusesOf(ids),
        new Map([
          [one.id, 'running'],
          [two.id, 'pending'],
        ]),
      );
      assert.deepEqual(await fixture.other.statusesOf([]), new Map());
    },
  },
  {
    name: 'tells what happened in the order of revisions and of places within a transition',
    guards: 'State is a fold over the journal: another order is another state.',
    async run(fixture) {
      const me = await engine(fixture);
      const saga = await ownedSaga(fixture, me);
      for (let revision = 0; revision < 12; revision += 1) {
        const entries = [entry(`${revision}-a`), entry(`${revision}-b`), entry(`${revision}-c`)];
        await fixture.sagas.flush([transition(saga, me, { revision, entries })]);
      }
      const history = await fixture.sagas.history(saga.id);
      const places = history.map(({ revision, ordinal }) => revision * 10 + ordinal);
      assert.deepEqual(
        places,
        [...places].sort((a, b) => a - b),
      );
      assert.equal(history.length, 37);
      assert.ok(history.every(({ recordedAt }) => recordedAt instanceof Date));
    },
  },
  {
    name: 'counts sagas by status',
    guards: 'Alerts on parked sagas rest on this count.',
    async run(fixture) {
      const before = (await fixture.sagas.countByStatus()).get('needs_attention') ?? 0;
      const me = await engine(fixture);
      const saga = await ownedSaga(fixture, me);
      await fixture.sagas.flush([
        transition(saga, me, {
          status: 'needs_attention',
          ownership: { kind: 'give_back', wakeInMs: null },
        }),
      ]);
      const after = (await fixture.sagas.countByStatus()).get('needs_attention') ?? 0;
      assert.equal(after, before + 1);
    },
  },
  {
    name: 'shows a transaction what it has written itself',
    guards: 'A service that starts a saga can look at it before it commits.',
    async run(fixture) {
      const saga = newSaga();
      const open = await openTransaction(fixture, async (transaction) => {
        await fixture.sagas.start([saga], transaction);
        assert.equal((await fixture.sagas.get(saga.id, transaction))?.id, saga.id);
      });
      assert.equal(await fixture.sagas.get(saga.id), null);
      await open.rollback();
    },
  },
  {
    name: 'counts a deadline down by its own clock, past it too',
    guards: 'A deadline is an instant of the database; hosts only learn how long is left.',
    async run(fixture) {
      const me = await engine(fixture);
      const saga = await ownedSaga(fixture, me, { deadlineInMs: 100 });
      const [before] = await fixture.sagas.load([saga.id], me);
      assert.ok(before?.deadlineInMs !== null && before?.deadlineInMs !== undefined);
      assert.ok(before.deadlineInMs <= 100);
      await fixture.pass(200);
      const [after] = await fixture.sagas.load([saga.id], me);
      assert.ok((after?.deadlineInMs ?? 0) < 0);
    },
  },
];
