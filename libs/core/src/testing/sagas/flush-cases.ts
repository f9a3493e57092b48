import assert from 'node:assert/strict';
import { newId, newNonce } from '../../ids.js';
import type { SagaTransition } from '../../ports/index.js';
import { freshName, type ContractCase } from '../contract-case.js';
import {
  engine,
  entry,
  message,
  openTransaction,
  ownedSaga,
  settlesByItself,
  transition,
  type SagaStoreFixture,
} from './saga-material.js';

export const flushCases: readonly ContractCase<SagaStoreFixture>[] = [
  {
    name: 'commits status, entries and messages of a transition together and raises the revision',
    guards: 'A transition is all there or not at all.',
    async run(fixture) {
      const me = await engine(fixture);
      const saga = await ownedSaga(fixture, me);
      const move = transition(saga, me, {
        status: 'compensating',
        entries: [
          entry('a', '1'),
          { kind: 'b', step: 'charge', item: 'a', attempt: 2, data: null },
        ],
        messages: [message(saga.id), message(saga.id)],
      });
      assert.deepEqual(await fixture.sagas.flush([move]), [{ kind: 'applied' }]);
      const found = await fixture.sagas.get(saga.id);
      assert.deepEqual([found?.status, found?.revision, found?.owner], ['compensating', 1, me]);
      const history = await fixture.sagas.history(saga.id);
      assert.deepEqual(
        history
          .slice(1)
          .map((one) => [one.kind, one.step, one.attempt, one.data, one.revision, one.ordinal]),
        [
          ['a', null, 0, '1', 1, 0],
          ['b', 'charge', 2, null, 1, 1],
        ],
      );
      assert.equal(await fixture.messagesOf(saga.id), 2);
    },
  },
  {
    name: 'refuses a transition that is repeated after it was applied',
    guards:
      'Owner and epoch still match when an unanswered statement is repeated: only the revision stops a second journal row and a second command.',
    async run(fixture) {
      const me = await engine(fixture);
      const saga = await ownedSaga(fixture, me);
      const move = transition(saga, me, { messages: [message(saga.id)] });
      await fixture.sagas.flush([move]);
      assert.deepEqual(await fixture.sagas.flush([move]), [{ kind: 'conflict', revision: 1 }]);
      assert.equal((await fixture.sagas.history(saga.id)).length, 2);
      assert.equal(await fixture.messagesOf(saga.id), 1);
    },
  },
  {
    name: 'lets one of two transitions built on one revision through',
    guards: 'Two siblings that complete at once cannot both be built on the same past.',
    async run(fixture) {
      const me = await engine(fixture);
      const saga = await ownedSaga(fixture, me);
      const outcomes = await Promise.all([
        fixture.sagas.flush([transition(saga, me)]),
        fixture.other.flush([transition(saga, me)]),
      ]);
      const kinds = outcomes.map(([outcome]) => outcome?.kind).sort();
      assert.ok(kinds.includes('applied'));
      assert.equal(kinds.filter((kind) => kind === 'applied').length, 1);
      assert.equal((await fixture.sagas.history(saga.id)).length, 2);
    },
  },
  {
    name: 'refuses a transition of another owner or of another epoch, and says whose the saga is',
    guards: 'A zombie cannot write: not one of another incarnation, and not an earlier self.',
    async run(fixture) {
      const me = await engine(fixture);
      const saga = await ownedSaga(fixture, me);
      const zombie = newNonce();
      assert.deepEqual(await fixture.sagas.flush([transition(saga, zombie)]), [
        { kind: 'not_owner', owner: me, epoch: 1 },
      ]);
      assert.deepEqual(await fixture.sagas.flush([transition(saga, me, { epoch: 0 })]), [
        { kind: 'not_owner', owner: me, epoch: 1 },
      ]);
      assert.equal((await fixture.sagas.history(saga.id)).length, 1);
    },
  },
  {
    name: 'acknowledges no more transitions of a saga than it journals, also when one flush holds two',
    guards:
      'A set-based update changes a row once however many source rows match: the second completion would be acknowledged and lost.',
    async run(fixture) {
      const me = await engine(fixture);
      const saga = await ownedSaga(fixture, me);
      const moves = [transition(saga, me), transition(saga, me)];
      let applied = 0;
      try {
        const outcomes = await fixture.sagas.flush(moves);
        applied = outcomes.filter((outcome) => outcome.kind === 'applied').length;
      } catch {
        // Refusing such a flush as a whole is as good.
      }
      const history = await fixture.sagas.history(saga.id);
      const journaled = new Set(history.map((one) => one.transitionId)).size - 1;
      assert.equal(journaled, applied);
      assert.equal((await fixture.sagas.get(saga.id))?.revision, applied);
    },
  },
  {
    name: 'answers in the order given, whatever the order of the ids',
    guards: 'Rows are locked by id; an outcome that lands at another transition is a lie.',
    async run(fixture) {
      const me = await engine(fixture);
      const sagas = await Promise.all(Array.from({ length: 6 }, () => ownedSaga(fixture, me)));
      const moves = sagas.map((saga, at) =>
        transition(saga, me, at % 2 === 0 ? {} : { revision: 7 }),
      );
      const outcomes = await fixture.sagas.flush(moves.toReversed());
      assert.deepEqual(
        outcomes.map((outcome) => outcome.kind),
        ['conflict', 'applied', 'conflict', 'applied', 'conflict', 'applied'],
      );
    },
  },
  {
    name: 'skips a row that another transaction holds, without waiting, and spares its neighbours',
    guards: 'One open business transaction must not stall every other saga of the engine.',
    async run(fixture) {
      const me = await engine(fixture);
      const held = await ownedSaga(fixture, me);
      const free = await ownedSaga(fixture, me);
      const open = await openTransaction(fixture, (transaction) =>
        fixture.sagas.apply(transition(held, me), transaction),
      );
      const flushing = fixture.other.flush([transition(held, me), transition(free, me)]);
      assert.ok(await settlesByItself(fixture, flushing), 'the flush waits for a locked row');
      assert.deepEqual(await flushing, [{ kind: 'busy' }, { kind: 'applied' }]);
      await open.rollback();
      assert.deepEqual(await fixture.other.flush([transition(held, me)]), [{ kind: 'applied' }]);
    },
  },
  {
    name: 'waits with one transition, and with no other, for a key that an open transaction has taken',
    guards:
      'A command with a key of its own must not overtake a message that took the key before, and one contended key must not stall every other saga of the engine.',
    async run(fixture) {
      const me = await engine(fixture);
      const [publisher, behind, apart, own] = await Promise.all(
        Array.from({ length: 4 }, () => ownedSaga(fixture, me)),
      );
      assert.ok(publisher && behind && apart && own);
      const key = freshName('key');
      const open = await openTransaction(fixture, (transaction) =>
        fixture.sagas.apply(transition(publisher, me, { messages: [message(key)] }), transaction),
      );
      const moves = [
        transition(apart, me, { messages: [message(freshName('key'))] }),
        transition(behind, me, { messages: [message(key), message(freshName('key'))] }),
        transition(own, me, { messages: [message(own.id)] }),
      ];
      const flushing = fixture.other.flush(moves);
      assert.ok(await settlesByItself(fixture, flushing), 'the flush waits for a key');
      assert.deepEqual(
        (await flushing).map(({ kind }) => kind),
        ['applied', 'busy', 'applied'],
      );
      const alone = fixture.other.flush(moves.slice(1, 2));
      assert.ok(await settlesByItself(fixture, alone), 'a single transition waits without a bound');
      assert.deepEqual(await alone, [{ kind: 'busy' }]);
      assert.equal(await fixture.messagesOf(key), 0);
      await open.commit();
      assert.deepEqual(await fixture.other.flush(moves.slice(1, 2)), [{ kind: 'applied' }]);
      assert.equal(await fixture.messagesOf(key), 2);
    },
  },
  {
    name: 'rejects the one transition among 500 whose data the store cannot hold, and applies the others',
    guards: 'One poisonous output must not fail, or endlessly repeat, a whole flush.',
    async run(fixture) {
      const me = await engine(fixture);
      const sagas = Array.from({ length: 500 }, () => ({ id: newId() }));
      const started = await Promise.all(sagas.map(({ id }) => ownedSaga(fixture, me, { id })));
      const moves = started.map((saga, at) =>
        transition(saga, me, {
          entries: [entry('x', at === 123 ? '"raw \u0000 nul"' : '{"ok":true}')],
          messages: at % 100 === 0 ? [message(saga.id)] : [],
        }),
      );
      const outcomes = await fixture.sagas.flush(moves);
      assert.equal(outcomes[123]?.kind, 'rejected');
      assert.equal(outcomes.filter((outcome) => outcome.kind === 'applied').length, 499);
      const poisoned = started[123];
      assert.ok(poisoned !== undefined);
      assert.equal((await fixture.sagas.history(poisoned.id)).length, 1);
      assert.equal((await fixture.sagas.get(poisoned.id))?.revision, 0);
      const neighbour = started[300];
      assert.ok(neighbour !== undefined);
      assert.equal((await fixture.sagas.history(neighbour.id)).length, 2);
      assert.equal(await fixture.messagesOf(neighbour.id), 1);
    },
  },
  {
    name: 'answers missing for a saga that is not there',
    guards: 'A saga whose starting transaction never committed must not look like a lost lease.',
    async run(fixture) {
      const me = await engine(fixture);
      const saga = await ownedSaga(fixture, me);
      const outcomes = await fixture.sagas.flush([
        transition({ ...saga, id: newId() }, me),
        transition(saga, me),
      ]);
      assert.deepEqual(outcomes, [{ kind: 'missing' }, { kind: 'applied' }]);
    },
  },
  {
    name: 'writes no message of a transition that it refuses',
    guards: 'A refused transition has no effect at all, or a zombie could still send commands.',
    async run(fixture) {
      const me = await engine(fixture);
      const saga = await ownedSaga(fixture, me);
      await fixture.sagas.flush([
        transition(saga, me, { revision: 3, messages: [message(saga.id)] }),
      ]);
      assert.equal(await fixture.messagesOf(saga.id), 0);
    },
  },
  {
    name: 'applies a transition as a part of the transaction it is given',
    guards: 'A transactional step and its journal commit together, or not at all.',
    async run(fixture) {
      const me = await engine(fixture);
      const saga = await ownedSaga(fixture, me);
      const lost = await openTransaction(fixture, async (transaction) => {
        const outcome = await fixture.sagas.apply(
          transition(saga, me, { messages: [message(saga.id)] }),
          transaction,
        );
        assert.deepEqual(outcome, { kind: 'applied' });
      });
      assert.equal((await fixture.other.get(saga.id))?.revision, 0);
      await lost.rollback();
      assert.equal((await fixture.sagas.get(saga.id))?.revision, 0);
      assert.equal(await fixture.messagesOf(saga.id), 0);
      const kept = await openTransaction(fixture, (transaction) =>
        fixture.sagas.apply(transition(saga, me), transaction),
      );
      await kept.commit();
      assert.equal((await fixture.sagas.get(saga.id))?.revision, 1);
    },
  },
  {
    name: 'says in a transaction, and soon, whether it did not get a key or the row of the saga',
    guards:
      'A step that names a locked key counts as failed in the end; one whose saga somebody has locked never does.',
    async run(fixture) {
      const me = await engine(fixture);
      const [publisher, saga] = await Promise.all(
        Array.from({ length: 2 }, () => ownedSaga(fixture, me)),
      );
      assert.ok(publisher && saga);
      const key = freshName('key');
      const open = await openTransaction(fixture, async (transaction) => {
        const move = transition(publisher, me, { messages: [message(key)] });
        assert.deepEqual(await fixture.sagas.apply(move, transaction), { kind: 'applied' });
      });
      const kindOf = async (move: SagaTransition): Promise<string> => {
        let kind = '';
        const own = await openTransaction(fixture, async (transaction) => {
          kind = (await fixture.sagas.apply(move, transaction)).kind;
        });
        await own.rollback();
        return kind;
      };
      const needsKey = kindOf(transition(saga, me, { messages: [message(key)] }));
      const needsRow = kindOf(transition(publisher, me, { messages: [message(freshName('key'))] }));
      assert.ok(await settlesByItself(fixture, needsKey), 'the key is waited for without a bound');
      assert.equal(await needsKey, 'key_busy');
      assert.ok(await settlesByItself(fixture, needsRow), 'the row is waited for without a bound');
      assert.equal(await needsRow, 'busy');
      await open.rollback();
      assert.equal(await kindOf(transition(saga, me, { messages: [message(key)] })), 'applied');
    },
  },
  {
    name: 'refuses in a transaction what it refuses outside',
    guards:
      'The fence of a business transaction: a zombie learns it before its COMMIT and rolls back.',
    async run(fixture) {
      const me = await engine(fixture);
      const saga = await ownedSaga(fixture, me);
      const open = await openTransaction(fixture, async (transaction) => {
        const { apply } = bound(fixture.sagas);
        assert.equal((await apply(transition(saga, newNonce()), transaction)).kind, 'not_owner');
        assert.equal(
          (await apply(transition(saga, me, { revision: 4 }), transaction)).kind,
          'conflict',
        );
        const nobody = transition({ ...saga, id: newId() }, me);
        assert.equal((await apply(nobody, transaction)).kind, 'missing');
      });
      await open.commit();
      assert.equal((await fixture.sagas.get(saga.id))?.revision, 0);
    },
  },
];

function bound(store: SagaStoreFixture['sagas']): Pick<SagaStoreFixture['sagas'], 'apply'> {
  return { apply: (move, transaction) => store.apply(move, transaction) };
}
