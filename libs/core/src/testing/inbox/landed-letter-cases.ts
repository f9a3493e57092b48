import assert from 'node:assert/strict';
import type { ContractCase } from '../contract-case.js';
import { WAIT_MS, freshKey, openTransaction, type InboxStoreFixture } from './inbox-fixture.js';
import {
  buryKeyed,
  claimKeyed,
  claimLanded,
  freshGroup,
  handleLanded,
  keyed,
  landAll,
  landedRow,
  readLanded,
  workerOf,
} from './landing-fixture.js';

/** Dead letters that come back, or go for good. */
export const landedLetterCases: readonly ContractCase<InboxStoreFixture>[] = [
  {
    name: 'a replayed dead letter is back at its place, before what landed after it, and holds its key',
    guards: 'A replayed message would be handled after later ones, or beside them.',
    async run({ store, newStore }) {
      const group = freshGroup();
      const [one, two, three] = [keyed(group), keyed(group), keyed(group)];
      await buryKeyed(store, one, { blocks: true });
      await landAll(store, two);
      const operator = await newStore();
      assert.deepEqual(await operator.inbox.replayDeadLetters([one.key, freshKey(), one.key]), [
        'done',
        'unknown',
        'done',
      ]);
      assert.deepEqual(await store.inbox.listDeadLetters({ group }), []);
      assert.equal(await claimKeyed(store, one), 'landed');
      assert.equal(await claimKeyed(store, three), 'held');
      const worker = await workerOf(store, group);
      assert.deepEqual(
        (await readLanded(worker)).map(({ message, attempts }) => [message.id, attempts]),
        [
          [one.key.id, 0],
          [two.key.id, 0],
        ],
      );
      assert.deepEqual(await store.inbox.replayDeadLetters([one.key]), ['done']);
      assert.equal(await handleLanded(store, one, await landedRow(worker, one)), 'new');
      assert.deepEqual(await store.inbox.replayDeadLetters([one.key]), ['ended']);
    },
  },
  {
    name: 'whoever has the slot learns of a replay and of a removal',
    guards:
      'Its floor is above the number of what came back, and its held keys wait for what is gone.',
    async run({ store }) {
      const group = freshGroup();
      const [back, gone] = [keyed(group), keyed(group, { key: 'b' })];
      await buryKeyed(store, back, { blocks: true });
      await buryKeyed(store, gone, { blocks: true });
      const worker = await workerOf(store, group);
      const versions = async () => {
        const { leases } = await worker.queue.renew(worker.incarnation, WAIT_MS);
        return leases.reduce((sum, { version }) => sum + version, 0);
      };
      const before = await versions();
      await store.inbox.replayDeadLetters([back.key]);
      assert.equal(await versions(), before + 1);
      assert.deepEqual(await store.inbox.discardDeadLetters([gone.key]), ['done']);
      assert.equal(await versions(), before + 2);
      assert.equal(await claimKeyed(store, keyed(group, { key: 'b' })), 'new');
    },
  },
  {
    name: 'a replay that fails again is a dead letter again',
    guards: 'A replay that fails must not vanish, nor be replayed for ever.',
    async run({ store }) {
      const group = freshGroup();
      const one = keyed(group);
      await buryKeyed(store, one);
      await store.inbox.noteEnd(one.key, 'failed');
      await store.inbox.replayDeadLetters([one.key]);
      const worker = await workerOf(store, group);
      const row = await landedRow(worker, one);
      assert.equal(await buryKeyed(store, one, { reason: 'final' }, row), true);
      const letters = await store.inbox.listDeadLetters({ group });
      assert.deepEqual(
        letters.map(({ reason, message }) => [reason, message.id]),
        [['final', one.key.id]],
      );
      assert.equal((await store.inbox.readAttempts(one.key)).failures, 0);
      assert.equal(await claimKeyed(store, one), 'dead');
    },
  },
  {
    name: 'a discarded dead letter is gone and its message stays ended',
    guards: 'A trailing duplicate of what an operator threw away must not be handled.',
    async run({ store }) {
      const group = freshGroup();
      const [dead, replayed] = [keyed(group), keyed(group, { key: 'b' })];
      await buryKeyed(store, dead);
      await buryKeyed(store, replayed);
      await store.inbox.replayDeadLetters([replayed.key]);
      assert.deepEqual(await store.inbox.discardDeadLetters([dead.key, freshKey(), replayed.key]), [
        'done',
        'unknown',
        'busy',
      ]);
      assert.deepEqual(await store.inbox.discardDeadLetters([dead.key]), ['ended']);
      assert.equal(await claimKeyed(store, dead), 'done');
      assert.equal(await claimKeyed(store, replayed), 'landed');
      assert.deepEqual(await store.inbox.listDeadLetters({ group }), []);
    },
  },
  {
    name: 'an operator does not wait for a handler, nor it for the operator',
    guards: 'A person at a command line would hold up a slot, or be held up by one frozen process.',
    async run({ store, newStore }) {
      const group = freshGroup();
      const operator = await newStore();
      const [running, dead] = [keyed(group), keyed(group, { key: 'b' })];
      await buryKeyed(store, running);
      await buryKeyed(store, dead);
      await store.inbox.replayDeadLetters([running.key]);
      const worker = await workerOf(store, group);
      const row = await landedRow(worker, running);
      const handler = await openTransaction(store.transactions);
      assert.equal(await claimLanded(store, running, handler.transaction), 'new');
      await store.inbox.finishLanded(row, handler.transaction);
      assert.deepEqual(await operator.inbox.discardDeadLetters([running.key, dead.key]), [
        'busy',
        'done',
      ]);
      await handler.commit();
      assert.deepEqual(await operator.inbox.discardDeadLetters([running.key]), ['ended']);
    },
  },
];
