import assert from 'node:assert/strict';
import { newId } from '../../ids.js';
import type { ContractCase } from '../contract-case.js';
import {
  claim,
  engine,
  newSaga,
  openTransaction,
  ownedSaga,
  pendingStill,
  transition,
  type SagaStoreFixture,
} from './saga-material.js';

export const settleCases: readonly ContractCase<SagaStoreFixture>[] = [
  {
    name: 'finds a transition that was applied, also when others followed it',
    guards: 'An applied transition that is taken for lost would be repeated, or its saga dropped.',
    async run(fixture) {
      const me = await engine(fixture);
      const saga = await ownedSaga(fixture, me);
      const first = transition(saga, me);
      await fixture.sagas.flush([first]);
      assert.deepEqual(await fixture.other.settle(first), { kind: 'applied' });
      await fixture.sagas.flush([transition(saga, me, { revision: 1 })]);
      assert.deepEqual(await fixture.other.settle(first), { kind: 'applied' });
    },
  },
  {
    name: 'says not applied only when the transition may be repeated',
    guards: 'What was never applied and still fits may go again; anything else must not.',
    async run(fixture) {
      const me = await engine(fixture);
      const saga = await ownedSaga(fixture, me);
      assert.deepEqual(await fixture.sagas.settle(transition(saga, me)), { kind: 'not_applied' });
      const elsewhere = await fixture.sagas.settle(transition(saga, me, { revision: 5 }));
      assert.deepEqual(elsewhere, { kind: 'conflict', revision: 0 });
      const nobody = transition({ ...saga, id: newId() }, me);
      assert.deepEqual(await fixture.sagas.settle(nobody), { kind: 'missing' });
    },
  },
  {
    name: 'waits for a statement that is still running, and answers what became of it',
    guards:
      'A look that does not wait says "not there" of a statement that commits a moment later: it is repeated, and applied twice.',
    async run(fixture) {
      const me = await engine(fixture);
      const saga = await ownedSaga(fixture, me);
      const first = transition(saga, me);
      const open = await openTransaction(fixture, (transaction) =>
        fixture.sagas.apply(first, transaction),
      );
      const answer = fixture.other.settle(first);
      assert.ok(await pendingStill(fixture, answer));
      await open.commit();
      assert.deepEqual(await answer, { kind: 'applied' });
      const second = transition(saga, me, { revision: 1 });
      const lost = await openTransaction(fixture, (transaction) =>
        fixture.sagas.apply(second, transaction),
      );
      const other = fixture.other.settle(second);
      assert.ok(await pendingStill(fixture, other));
      await lost.rollback();
      assert.deepEqual(await other, { kind: 'not_applied' });
    },
  },
  {
    name: 'says whose a saga is that was taken over meanwhile',
    guards: 'After an adoption nothing of the old owner may be repeated.',
    async run(fixture) {
      const gone = await engine(fixture);
      const saga = await ownedSaga(fixture, gone);
      await fixture.engines.retire(gone);
      const heir = await engine(fixture);
      await claim(fixture, heir, saga.name);
      assert.deepEqual(await fixture.sagas.settle(transition(saga, gone)), {
        kind: 'not_owner',
        owner: heir,
        epoch: 2,
      });
    },
  },
  {
    name: 'refuses the fence of an owner that was replaced while its transaction was open',
    guards: 'A zombie that comes to its COMMIT after its death must not write.',
    async run(fixture) {
      const gone = await engine(fixture);
      const saga = newSaga({ owner: gone, status: 'running' });
      await fixture.sagas.start([saga]);
      const open = await openTransaction(fixture, () => Promise.resolve());
      await fixture.engines.retire(gone);
      const heir = await engine(fixture);
      assert.equal((await claim(fixture, heir, saga.name)).length, 1);
      await open.commit();
      await fixture.transactions.run(async (transaction) => {
        const outcome = await fixture.sagas.apply(transition(saga, gone), transaction);
        assert.deepEqual(outcome, { kind: 'not_owner', owner: heir, epoch: 2 });
      });
    },
  },
  {
    name: 'does not take over a saga whose last statement is about to commit, and sees it afterwards',
    guards: 'Adoption waits for nobody, and never works on a past that a commit is replacing.',
    async run(fixture) {
      const gone = await engine(fixture);
      const saga = await ownedSaga(fixture, gone);
      const open = await openTransaction(fixture, (transaction) =>
        fixture.sagas.apply(transition(saga, gone), transaction),
      );
      await fixture.engines.retire(gone);
      const heir = await engine(fixture);
      assert.deepEqual(await claim(fixture, heir, saga.name), []);
      await open.commit();
      const [adopted] = await claim(fixture, heir, saga.name);
      assert.deepEqual([adopted?.revision, adopted?.entries.length], [1, 2]);
    },
  },
];
