import assert from 'node:assert/strict';
import { newNonce } from '../../ids.js';
import type { NewSaga, SagaStore, StartOutcome } from '../../ports/index.js';
import type { ContractCase } from '../contract-case.js';
import { freshName } from '../contract-case.js';
import {
  entry,
  message,
  newSaga,
  openTransaction,
  pendingStill,
  settlesByItself,
  type SagaStoreFixture,
} from './saga-material.js';

/** Starts again and again until no other start holds the key. */
async function startWhenFree(
  fixture: SagaStoreFixture,
  store: SagaStore,
  saga: NewSaga,
): Promise<StartOutcome | undefined> {
  for (;;) {
    const [outcome] = await store.start([saga]);
    if (outcome?.kind !== 'busy') return outcome;
    await fixture.pass(1);
  }
}

export const startCases: readonly ContractCase<SagaStoreFixture>[] = [
  {
    name: 'starts a saga with its entries, its messages and its header',
    guards: 'A started saga is there, whole, once start() has answered.',
    async run(fixture) {
      const saga = newSaga({ key: 'k-1', tenant: 't-1', version: 3 });
      const sent = {
        ...saga,
        entries: [entry('saga_started', '{"a":1}'), entry('x')],
        messages: [message(saga.id)],
      };
      assert.deepEqual(await fixture.sagas.start([sent]), [{ kind: 'started' }]);
      const found = await fixture.sagas.get(saga.id);
      assert.ok(found !== null);
      const { id, tenant, name, version, key, status, revision, owner, epoch } = found;
      assert.deepEqual(
        { id, tenant, name, version, key, status, revision, owner, epoch },
        {
          id: saga.id,
          tenant: 't-1',
          name: saga.name,
          version: 3,
          key: 'k-1',
          status: 'pending',
          revision: 0,
          owner: null,
          epoch: 0,
        },
      );
      const history = await fixture.sagas.history(saga.id);
      assert.deepEqual(
        history.map((one) => [one.kind, one.data, one.revision, one.ordinal, one.transitionId]),
        [
          ['saga_started', '{"a":1}', 0, 0, saga.transitionId],
          ['x', null, 0, 1, saga.transitionId],
        ],
      );
      assert.equal(await fixture.messagesOf(saga.id), 1);
    },
  },
  {
    name: 'starts an owned saga in epoch 1 and at revision 0',
    guards:
      'The engine that starts a saga knows, without reading, what its first transition must match.',
    async run(fixture) {
      const saga = newSaga({ owner: newNonce(), status: 'running' });
      await fixture.sagas.start([saga]);
      const found = await fixture.sagas.get(saga.id);
      assert.deepEqual([found?.owner, found?.epoch, found?.revision], [saga.owner, 1, 0]);
    },
  },
  {
    name: 'answers a taken key with the saga that has it and the digest of its input',
    guards: 'The same start twice is one saga; the same key with another input can be told apart.',
    async run(fixture) {
      const first = newSaga({ key: 'same', inputDigest: 'one' });
      await fixture.sagas.start([first]);
      const again = newSaga({ name: first.name, key: 'same', inputDigest: 'two' });
      assert.deepEqual(await fixture.sagas.start([again]), [
        { kind: 'exists', id: first.id, inputDigest: 'one', sameStart: false },
      ]);
      assert.equal(await fixture.sagas.get(again.id), null);
      assert.deepEqual(await fixture.sagas.history(again.id), []);
    },
  },
  {
    name: 'keeps keys of different tenants and of different sagas apart',
    guards: 'Two saga types, or two customers, that use the same key do not block each other.',
    async run(fixture) {
      const first = newSaga({ key: 'shared' });
      const sagas = [
        first,
        newSaga({ key: 'shared', name: first.name, tenant: 'another' }),
        newSaga({ key: 'shared' }),
        newSaga({ key: null, name: first.name }),
        newSaga({ key: null, name: first.name }),
      ];
      const outcomes = await fixture.sagas.start(sagas);
      assert.deepEqual(
        outcomes.map((one) => one.kind),
        sagas.map(() => 'started'),
      );
    },
  },
  {
    name: 'answers each start of a batch, in the order given, and starts one of those that share a key',
    guards: 'A group of starts in which one repeats another neither fails nor starts it twice.',
    async run(fixture) {
      const one = newSaga({ key: 'z' });
      const two = newSaga({ key: 'a', name: one.name });
      const three = newSaga({ key: 'z', name: one.name });
      const outcomes = await fixture.sagas.start([one, two, three]);
      assert.equal(outcomes[1]?.kind, 'started');
      const started = [outcomes[0], outcomes[2]].filter((outcome) => outcome?.kind === 'started');
      assert.equal(started.length, 1);
      const exists = [outcomes[0], outcomes[2]].find((outcome) => outcome?.kind === 'exists');
      const winner = outcomes[0]?.kind === 'started' ? one.id : three.id;
      assert.ok(exists?.kind === 'exists' && exists.id === winner);
    },
  },
  {
    name: 'lets 20 callers who start with one key at once start one saga',
    guards: 'A fan-in of identical requests is one saga, and all of them learn which.',
    async run(fixture) {
      const name = freshName('saga');
      const sagas = Array.from({ length: 20 }, () => newSaga({ name, key: 'one' }));
      const outcomes = await Promise.all(
        sagas.map((saga, at) =>
          startWhenFree(fixture, at % 2 === 0 ? fixture.sagas : fixture.other, saga),
        ),
      );
      assert.equal(outcomes.filter((outcome) => outcome?.kind === 'started').length, 1);
      const winner = sagas[outcomes.findIndex((outcome) => outcome?.kind === 'started')]?.id;
      for (const outcome of outcomes)
        if (outcome?.kind === 'exists') assert.equal(outcome.id, winner);
      assert.equal((await fixture.sagas.find({ name })).length, 1);
    },
  },
  {
    name: 'tells another start with the id of a saga from the same start repeated',
    guards: 'Taken for a repeat, another start with the same id would run a step a second time.',
    async run(fixture) {
      const saga = newSaga();
      await fixture.sagas.start([saga]);
      const { id, inputDigest } = saga;
      const other = newSaga({ id, name: saga.name });
      const keyed = newSaga({ id, name: saga.name, key: 'k' });
      for (const one of [other, keyed]) {
        assert.deepEqual(await fixture.other.start([one]), [
          { kind: 'exists', id, inputDigest, sameStart: false },
        ]);
      }
      assert.equal((await fixture.sagas.history(id)).length, 1);
    },
  },
  {
    name: 'keeps no key of a start whose id another start has',
    guards: 'A key that no saga was started with answers a saga that has nothing to do with it.',
    async run({ sagas, other }) {
      const first = newSaga({ key: 'first', inputDigest: 'first' });
      const second = { ...first, key: 'second', inputDigest: 'second', transitionId: newNonce() };
      const exists = { kind: 'exists', id: first.id, inputDigest: 'first', sameStart: false };
      assert.deepEqual(await sagas.start([first, second]), [{ kind: 'started' }, exists]);
      const next = newSaga({ name: first.name, key: 'second' });
      assert.deepEqual(await other.start([next]), [{ kind: 'started' }]);
      assert.deepEqual(await other.start([newSaga({ name: first.name, key: 'first' })]), [
        { ...exists, inputDigest: 'first' },
      ]);
    },
  },
  {
    name: 'takes a start that is repeated by its id as the one it was',
    guards: 'A start without an answer can be repeated: it is there once.',
    async run(fixture) {
      const saga = newSaga();
      await fixture.sagas.start([saga]);
      assert.deepEqual(await fixture.sagas.start([saga]), [
        { kind: 'exists', id: saga.id, inputDigest: saga.inputDigest, sameStart: true },
      ]);
      assert.equal((await fixture.sagas.history(saga.id)).length, 1);
    },
  },
  {
    name: 'shows a saga that was started in a transaction only after its commit',
    guards: 'A saga begins if and only if the transaction that starts it commits.',
    async run(fixture) {
      const saga = newSaga();
      const open = await openTransaction(fixture, (transaction) =>
        fixture.sagas.start([saga], transaction),
      );
      assert.equal(await fixture.other.get(saga.id), null);
      await open.commit();
      assert.equal((await fixture.other.get(saga.id))?.id, saga.id);
    },
  },
  {
    name: 'leaves nothing of a saga whose starting transaction was rolled back',
    guards: 'No saga, no journal, no message of a business transaction that never happened.',
    async run(fixture) {
      const saga = newSaga({ key: 'k' });
      const sent = { ...saga, messages: [message(saga.id)] };
      const open = await openTransaction(fixture, (transaction) =>
        fixture.sagas.start([sent], transaction),
      );
      await open.rollback();
      assert.equal(await fixture.sagas.get(saga.id), null);
      assert.deepEqual(await fixture.sagas.history(saga.id), []);
      assert.equal(await fixture.messagesOf(saga.id), 0);
      assert.deepEqual(await fixture.sagas.start([newSaga({ name: saga.name, key: 'k' })]), [
        { kind: 'started' },
      ]);
    },
  },
  {
    name: 'lets a start wait for an open transaction with its key, and see what that committed',
    guards: 'A snapshot that began before the other commit would say "started" or find nothing.',
    async run(fixture) {
      const first = newSaga({ key: 'k', inputDigest: 'first' });
      const open = await openTransaction(fixture, (transaction) =>
        fixture.sagas.start([first], transaction),
      );
      const second = fixture.transactions.run((transaction) =>
        fixture.other.start([newSaga({ name: first.name, key: 'k' })], transaction),
      );
      assert.ok(await pendingStill(fixture, second));
      await open.commit();
      assert.deepEqual(await second, [
        { kind: 'exists', id: first.id, inputDigest: 'first', sameStart: false },
      ]);
    },
  },
  {
    name: 'keeps no start waiting for a key or an id that an open transaction holds, and starts its neighbours',
    guards: 'One contended key must not hold up every start of a process.',
    async run(fixture) {
      const first = newSaga({ key: 'k', inputDigest: 'first' });
      const byId = newSaga();
      const open = await openTransaction(fixture, async (transaction) => {
        await fixture.sagas.start([first], transaction);
        await fixture.sagas.start([byId], transaction);
      });
      const again = newSaga({ name: first.name, key: 'k' });
      const free = [newSaga(), newSaga({ name: first.name, key: 'another' }), newSaga()];
      const group = [free[0], again, free[1], byId, free[2]].flatMap((saga) => saga ?? []);
      const starting = fixture.other.start(group);
      assert.ok(await settlesByItself(fixture, starting), 'the group waits for a key');
      assert.deepEqual(
        (await starting).map(({ kind }) => kind),
        ['started', 'busy', 'started', 'busy', 'started'],
      );
      assert.equal(await fixture.other.get(again.id), null);
      await open.commit();
      assert.deepEqual(await fixture.other.start([again, byId]), [
        { kind: 'exists', id: first.id, inputDigest: 'first', sameStart: false },
        { kind: 'exists', id: byId.id, inputDigest: byId.inputDigest, sameStart: true },
      ]);
    },
  },
  {
    name: 'rejects the starts among 100 whose data the store cannot hold, and starts the others',
    guards: 'One poisonous input must not fail the callers that start something beside it.',
    async run(fixture) {
      const sagas = Array.from({ length: 100 }, (_, at) =>
        newSaga({
          entries: [entry('saga_started', at % 40 === 7 ? '"raw \u0000 nul"' : '{"ok":true}')],
        }),
      );
      const outcomes = await fixture.sagas.start(sagas);
      assert.deepEqual(
        outcomes.map(({ kind }) => kind),
        sagas.map((_, at) => (at % 40 === 7 ? 'rejected' : 'started')),
      );
      assert.equal(await fixture.sagas.get(sagas[7]?.id ?? ''), null);
      assert.equal((await fixture.sagas.history(sagas[8]?.id ?? '')).length, 1);
    },
  },
  {
    name: 'gives the key to who waits when the transaction that held it is rolled back',
    guards: 'A crashed or failed first caller does not block the key.',
    async run(fixture) {
      const first = newSaga({ key: 'k' });
      const open = await openTransaction(fixture, (transaction) =>
        fixture.sagas.start([first], transaction),
      );
      const second = fixture.transactions.run((transaction) =>
        fixture.other.start([newSaga({ name: first.name, key: 'k' })], transaction),
      );
      assert.ok(await pendingStill(fixture, second));
      await open.rollback();
      assert.deepEqual(await second, [{ kind: 'started' }]);
    },
  },
  {
    name: 'keeps the data of entries unchanged, escaped NUL and lone surrogates and 1 MiB included',
    guards: "Outputs are people's data: a store that parses or normalises them bends them.",
    async run(fixture) {
      const texts = [
        JSON.stringify({ nul: '\u0000', lone: '\ud800', pair: '😀', quote: `it's "$1" \\ %` }),
        JSON.stringify({ big: 'x'.repeat(1_048_576) }),
        '{"b":1,  "a":1.0, "a":2}',
        'null',
      ];
      const saga = newSaga({ entries: texts.map((text) => entry('x', text)) });
      await fixture.sagas.start([saga]);
      const history = await fixture.sagas.history(saga.id);
      assert.deepEqual(
        history.map((one) => one.data),
        texts,
      );
    },
  },
];
