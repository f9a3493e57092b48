import assert from 'node:assert/strict';
import type { ContractCase } from '../contract-case.js';
import { contractError } from './contract-error.js';
import {
  SHORT_MS,
  WAIT_MS,
  claimOnce,
  openTransaction,
  type InboxStoreFixture,
} from './inbox-fixture.js';
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
  takeOver,
  workerOf,
} from './landing-fixture.js';

/** Cases of a process that has lost its slot, or waits for one that has. */
export const landedOwnerCases: readonly ContractCase<InboxStoreFixture>[] = [
  {
    name: 'a process whose slot was taken over cannot end a landed message',
    guards:
      'It would hold more messages of the key in memory, and handle them past one that blocks.',
    async run({ store }) {
      const group = freshGroup();
      const [one, two, three] = [keyed(group), keyed(group), keyed(group)];
      await landAll(store, one, two, three);
      const former = await workerOf(store, group);
      const [first, second, third] = [
        await landedRow(former, one),
        await landedRow(former, two),
        await landedRow(former, three),
      ];
      const owner = await takeOver(store, group, former);
      await assert.rejects(
        handleLanded(store, one, first),
        contractError('SAGAZ_LANDED_ROW_LOST', first.seq),
      );
      assert.equal(await claimKeyed(store, one), 'landed', 'its work was rolled back');
      assert.equal(await handleLanded(store, one, await landedRow(owner, one)), 'new');
      assert.equal(
        await buryKeyed(store, two, { blocks: true }, await landedRow(owner, two)),
        true,
      );
      assert.equal(
        await handleLanded(store, three, third),
        'held',
        'the third would pass the second, which blocks',
      );
      await assert.rejects(
        store.transactions.run((transaction) => store.inbox.finishLanded(third, transaction)),
        contractError('SAGAZ_LANDED_ROW_LOST', third.seq),
      );
      await assert.rejects(
        buryKeyed(store, three, {}, third),
        contractError('SAGAZ_LANDED_ROW_LOST', third.seq),
      );
      assert.equal(await claimLanded(store, two), 'dead');
      assert.equal(await handleLanded(store, two, second), 'dead');
      assert.equal(await claimKeyed(store, three), 'landed');
    },
  },
  {
    name: 'a take-over waits for a transaction that has ended a landed message',
    guards:
      'The next owner would read the message before the commit, and handle its followers beside it.',
    async run({ store, newStore }) {
      const group = freshGroup();
      const other = await newStore();
      const one = keyed(group);
      await landAll(store, one);
      // Its lease is over at once, so that the next owner may take the slot.
      const former = await workerOf(store, group, 1);
      const row = await landedRow(former, one);
      const handler = await openTransaction(store.transactions);
      assert.equal(await claimLanded(store, one, handler.transaction), 'new');
      await store.inbox.finishLanded(row, handler.transaction);
      const next = await workerOf(other, group);
      const take = () => next.queue.acquire(next.incarnation, WAIT_MS, next.queue.slots);
      const leases = [...next.leases];
      // The leases of the others are over within milliseconds.
      while (leases.length < next.queue.slots - 1) leases.push(...(await take()));
      assert.ok(leases.every(({ slot }) => slot !== row.lease.slot));
      assert.deepEqual(await take(), []);
      await handler.commit();
      leases.push(...(await take()));
      assert.equal(leases.length, next.queue.slots);
      assert.deepEqual(await readLanded({ ...next, leases }), []);
    },
  },
  {
    name: 'a process that gives a landed message up renews its leases while it waits for a handler of the key',
    guards: 'A frozen handler would take all slots from the process that waits for it.',
    async run({ store, newStore }) {
      const group = freshGroup();
      const other = await newStore();
      const one = keyed(group);
      await landAll(store, one);
      const worker = await workerOf(store, group);
      const row = await landedRow(worker, one);
      const frozen = await openTransaction(other.transactions);
      assert.equal(await claimLanded(other, one, frozen.transaction), 'new');
      await assert.rejects(
        buryKeyed(store, one, {}, row, SHORT_MS),
        contractError('SAGAZ_INBOX_BUSY', one.key.id),
      );
      const burial = buryKeyed(store, one, {}, row);
      for (let trip = 0; trip < 3; trip += 1) await claimOnce(other, keyed(freshGroup()).key);
      const renewed = await worker.queue.renew(worker.incarnation, WAIT_MS);
      assert.ok(renewed.leases.some(({ slot }) => slot === row.lease.slot));
      await frozen.rollback();
      assert.equal(await burial, true);
      assert.equal(await claimKeyed(store, one), 'dead');
    },
  },
  {
    name: 'a landed message that is given up is a dead letter in its place, which holds its key only if it blocks',
    guards:
      'The followers of a message that blocks would pass it; those of another would wait for ever.',
    async run({ store }) {
      const group = freshGroup();
      for (const blocks of [true, false]) {
        const key = `blocks ${blocks}`;
        const [one, two] = [keyed(group, { key }), keyed(group, { key })];
        await landAll(store, one);
        const worker = await workerOf(store, group);
        const row = await landedRow(worker, one);
        assert.equal(await buryKeyed(store, one, { blocks, attempts: 7 }, row), true);
        assert.equal(await buryKeyed(store, one, { blocks }, row), false);
        const letters = await store.inbox.listDeadLetters({ group, key });
        assert.deepEqual(
          letters.map(({ cursor, attempts, reason }) => [cursor, attempts, reason]),
          [[row.seq, 7, 'exhausted']],
        );
        assert.equal(await claimKeyed(store, two), blocks ? 'held' : 'new');
        assert.deepEqual(await readLanded(worker), []);
        const held = await worker.queue.heldKeys(worker.incarnation, worker.leases);
        assert.equal(
          held.some(({ head }) => head === row.seq),
          blocks,
        );
        await worker.queue.leave(worker.incarnation);
      }
    },
  },
  {
    name: 'a landed message is held by one before it, also if its owner does not know of that one',
    guards:
      'Another process gives up a message that blocks, or lands one that failed, while the slot is owned: its followers would pass it.',
    async run({ store }) {
      const group = freshGroup();
      const [one, two] = [keyed(group), keyed(group)];
      const worker = await workerOf(store, group);
      await buryKeyed(store, one, { blocks: true });
      await landAll(store, two);
      const row = await landedRow(worker, two);
      assert.equal(await handleLanded(store, two, row), 'held');
      assert.equal(await claimKeyed(store, two), 'landed', 'nothing was written');
      await store.inbox.discardDeadLetters([one.key]);
      assert.equal(await handleLanded(store, two, row), 'new');
    },
  },
  {
    name: 'a failed attempt of a landed message holds its followers until it is due again',
    guards: 'The landing queue is a queue like others: its owner holds and releases.',
    async run({ store }) {
      const group = freshGroup();
      const [one, two] = [keyed(group), keyed(group)];
      await landAll(store, one, two);
      const worker = await workerOf(store, group);
      const [first, second] = [await landedRow(worker, one), await landedRow(worker, two)];
      const { queue, incarnation, leases } = worker;
      const place = { slot: first.lease.slot, seq: first.seq };
      const retry = { kind: 'retry', place, delayMs: 0, counts: true, error: 'Error: no' } as const;
      const hold = { kind: 'hold', place: { ...place, seq: second.seq } } as const;
      assert.deepEqual(await queue.change(incarnation, leases, [retry, hold]), [
        'changed',
        'changed',
      ]);
      assert.deepEqual(
        (await readLanded(worker)).map(({ message, attempts }) => [message.id, attempts]),
        [[one.key.id, 1]],
      );
      assert.equal(await handleLanded(store, two, second), 'held');
      await assert.rejects(
        store.transactions.run((transaction) => store.inbox.finishLanded(second, transaction)),
        contractError('SAGAZ_LANDED_ROW_LOST', second.seq),
        'a message that is held is nobody’s to end',
      );
      assert.equal(await handleLanded(store, one, first), 'new');
    },
  },
];
