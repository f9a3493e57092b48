import assert from 'node:assert/strict';
import type { ContractCase } from '../contract-case.js';
import { contractError } from './contract-error.js';
import { WAIT_MS, openTransaction, type InboxStoreFixture } from './inbox-fixture.js';
import {
  buryKeyed,
  claimKeyed,
  claimLanded,
  freshGroup,
  handleLanded,
  keyed,
  landAll,
  landedRow,
  landing,
  readLanded,
  workerOf,
  type Keyed,
} from './landing-fixture.js';

const LATER_MS = 3_600_000;
const RETIREMENT = { reason: 'retired', error: 'Error: nobody serves it' };

/** The same message as the group of another name has it. */
function of(group: string, { key, message, line }: Keyed): Keyed {
  return { key: { ...key, group }, message, line };
}

/** What operators see of landing queues, and do with them. */
export const landingGroupCases: readonly ContractCase<InboxStoreFixture>[] = [
  {
    name: 'what waits in each landing queue is counted by group, dead letters left out',
    guards: 'Nobody would see which group does not keep up.',
    async run({ store, newStore }) {
      const [full, dead] = [freshGroup(), freshGroup()];
      const other = await newStore();
      await landAll(store, keyed(full), keyed(full), keyed(full, { key: 'b' }));
      await buryKeyed(store, keyed(full));
      await buryKeyed(store, keyed(dead));
      const backlog = await other.inbox.landingBacklog();
      const found = (group: string) => backlog.find((one) => one.group === group);
      assert.equal(found(full)?.waiting, 3);
      assert.ok((found(full)?.oldestMs ?? -1) >= 0);
      assert.deepEqual(found(dead), { group: dead, waiting: 0, oldestMs: 0 });
    },
  },
  {
    name: 'a landing queue is unserved while a message could be handled and no process of its group lives',
    guards: 'Messages of a group that was renamed or removed would wait unnoticed, for ever.',
    async run({ store }) {
      const [waits, later, dead, served] = [freshGroup(), freshGroup(), freshGroup(), freshGroup()];
      const retry = (delayMs: number) => ({ attempts: 1, retry: { delayMs, error: 'Error: no' } });
      await landAll(store, keyed(waits), keyed(waits), keyed(served));
      await buryKeyed(store, keyed(dead), { blocks: true });
      const head = keyed(later);
      await landAll(store, head);
      const worker = await workerOf(store, later);
      const row = await landedRow(worker, head);
      const place = { slot: row.lease.slot, seq: row.seq };
      await worker.queue.change(worker.incarnation, worker.leases, [
        { kind: 'retry', place, delayMs: LATER_MS, counts: true, error: 'Error: no' },
      ]);
      await worker.queue.leave(worker.incarnation);
      await store.inbox.land([landing(keyed(dead, { key: 'b' }), retry(0))], WAIT_MS);
      const member = await workerOf(store, served);
      const unserved = async () => {
        const mine = new Set([waits, later, dead, served]);
        const found = (await store.inbox.unservedLandings()).filter(({ group }) => mine.has(group));
        return found.map(({ group, waiting }) => [group, waiting]).sort();
      };
      const expected = [
        [waits, 2],
        [dead, 1],
      ].sort();
      assert.deepEqual(await unserved(), expected);
      await member.queue.leave(member.incarnation);
      assert.deepEqual(await unserved(), [...expected, [served, 1]].sort());
    },
  },
  {
    name: 'a renamed group knows what it had handled, landed and given up, and keeps the order of its keys',
    guards:
      'A service that is deployed under another name would handle duplicates again, and leave behind what has landed.',
    async run({ store, newStore }) {
      const other = await newStore();
      const [from, to] = [freshGroup(), freshGroup()];
      const [done, first, second] = [keyed(from, { key: 'd' }), keyed(from), keyed(from)];
      const [dead, stays] = [keyed(from, { key: 'b' }), keyed(freshGroup())];
      await claimKeyed(store, done);
      await landAll(store, first, second, stays);
      await buryKeyed(store, dead, { blocks: true });
      await store.inbox.noteEnd(first.key, 'failed');
      assert.equal(await store.inbox.renameGroup(from, to), 4);
      for (const [one, state] of [
        [done, 'done'],
        [first, 'landed'],
        [dead, 'dead'],
      ] as const) {
        assert.equal(await claimKeyed(other, of(to, one)), state);
      }
      assert.equal(
        await claimKeyed(store, keyed(to)),
        'held',
        'the key is held under the new name',
      );
      assert.equal(await claimKeyed(store, keyed(to, { key: 'b' })), 'held');
      assert.equal(await claimKeyed(store, keyed(from)), 'new', 'the old name is free');
      assert.equal((await store.inbox.readAttempts(of(to, first).key)).failures, 1);
      assert.equal(await claimKeyed(store, stays), 'landed', 'other groups are left alone');
      assert.deepEqual(await store.inbox.listDeadLetters({ group: from }), []);
      assert.deepEqual(await store.inbox.replayDeadLetters([of(to, dead).key]), ['done']);
      const worker = await workerOf(other, to);
      assert.deepEqual(
        (await readLanded(worker)).map(({ message }) => message.id),
        [first, second, dead].map(({ key }) => key.id),
      );
      const now = of(to, first);
      assert.equal(await handleLanded(other, now, await landedRow(worker, now)), 'new');
    },
  },
  {
    name: 'a group is not renamed while a process of it lives, nor to the name of one that has messages',
    guards:
      'What the process does meanwhile would be lost under the old name, or two groups be mixed.',
    async run({ store }) {
      const [from, to, third] = [freshGroup(), freshGroup(), freshGroup()];
      const unknown = store.inbox.renameGroup(freshGroup(), to);
      await assert.rejects(unknown, contractError('SAGAZ_UNKNOWN_GROUP'));
      const one = keyed(from);
      await landAll(store, one);
      const worker = await workerOf(store, from);
      const living = contractError('SAGAZ_GROUP_IN_USE', from);
      await assert.rejects(store.inbox.renameGroup(from, to), living);
      await worker.queue.leave(worker.incarnation);
      const theirs = await workerOf(store, third);
      await assert.rejects(
        store.inbox.renameGroup(from, third),
        contractError('SAGAZ_GROUP_IN_USE', third),
      );
      await theirs.queue.leave(theirs.incarnation);
      await claimKeyed(store, keyed(to));
      await assert.rejects(
        store.inbox.renameGroup(from, to),
        contractError('SAGAZ_GROUP_EXISTS', to),
      );
      assert.equal(await claimKeyed(store, one), 'landed', 'nothing was changed');
      assert.equal(await store.inbox.renameGroup(from, third), 1, 'an empty queue is no obstacle');
      assert.equal(await claimKeyed(store, of(third, one)), 'landed');
    },
  },
  {
    name: 'the landed messages of a retired group become dead letters that hold back nothing, in steps',
    guards: 'They would wait for ever, with the sagas that wait for their answers.',
    async run({ store, newStore }) {
      const other = await newStore();
      const group = freshGroup();
      const [one, two, three] = [keyed(group), keyed(group), keyed(group, { key: 'c\ud800' })];
      await landAll(store, one, two, three);
      await store.inbox.noteEnd(one.key, 'failed');
      const worker = await workerOf(store, group);
      const retire = (limit: number) =>
        store.transactions.run((own) => store.inbox.retireLanded(group, RETIREMENT, limit, own));
      await assert.rejects(retire(10), contractError('SAGAZ_GROUP_IN_USE', group));
      await worker.queue.leave(worker.incarnation);
      const retired = [...(await retire(2)), ...(await retire(2))];
      assert.deepEqual(
        new Set(retired.map(({ id, key }) => `${id} ${key}`)),
        new Set([one, two, three].map(({ message: { id, key } }) => `${id} ${key}`)),
        'the messages as they came',
      );
      assert.deepEqual(await retire(2), []);
      for (const { key } of [one, two, three]) {
        assert.equal((await store.inbox.readAttempts(key)).failures, 0);
      }
      const letters = await other.inbox.listDeadLetters({ group });
      assert.deepEqual(
        letters.map(({ message, reason, blocks }) => [message.id, reason, blocks]),
        [one, two, three].map(({ key }) => [key.id, 'retired', false]),
      );
      assert.equal(await claimKeyed(store, one), 'dead');
      assert.equal(await claimKeyed(store, keyed(group)), 'new');
      const unknown = store.transactions.run((own) =>
        store.inbox.retireLanded(freshGroup(), RETIREMENT, 1, own),
      );
      await assert.rejects(unknown, contractError('SAGAZ_UNKNOWN_GROUP'));
    },
  },
  {
    name: 'a message that a process which was taken for dead has just handled is not retired',
    guards: 'It would be done and dead, and its saga be answered twice.',
    async run({ store, newStore }) {
      const other = await newStore();
      const group = freshGroup();
      const one = keyed(group);
      await landAll(store, one);
      const worker = await workerOf(store, group);
      const row = await landedRow(worker, one);
      const handler = await openTransaction(store.transactions);
      assert.equal(await claimLanded(store, one, handler.transaction), 'new');
      await store.inbox.finishLanded(row, handler.transaction);
      // Its membership is over, and its slots are still its own.
      await worker.queue.join(worker.incarnation, 0);
      const retiring = other.transactions.run((own) =>
        other.inbox.retireLanded(group, RETIREMENT, 10, own),
      );
      await handler.commit();
      assert.deepEqual(await retiring, []);
      assert.equal(await claimKeyed(store, one), 'done');
    },
  },
];
