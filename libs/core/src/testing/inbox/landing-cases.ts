import assert from 'node:assert/strict';
import { systemClock } from '../../clock/index.js';
import { InboxBusyError, originalOf } from '../../messaging/index.js';
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
  landing,
  readLanded,
  workerOf,
} from './landing-fixture.js';

const LATER_MS = 3_600_000;

/** Which messages may be handled while others of their group are in its landing queue. */
export const landingCases: readonly ContractCase<InboxStoreFixture>[] = [
  {
    name: 'a message that landed is known as landed, and is neither landed, handled nor buried again',
    guards: 'One row of the inbox decides: a message would be handled twice, or be dead and done.',
    async run({ store, newStore }) {
      const group = freshGroup();
      const [one, done, dead] = [
        keyed(group),
        keyed(group, { key: 'b' }),
        keyed(group, { key: 'c' }),
      ];
      assert.equal(await claimKeyed(store, done), 'new');
      assert.equal(await buryKeyed(store, dead), true);
      const other = await newStore();
      assert.equal(await landAll(other, one, done, dead, one), 1);
      assert.equal(await landAll(store, one), 0);
      assert.equal(await claimKeyed(store, one), 'landed');
      assert.equal(await claimOnce(store, one.key), 'landed');
      assert.equal(await buryKeyed(store, one), false);
      assert.equal(await claimKeyed(store, done), 'done');
      assert.equal(await claimKeyed(store, dead), 'dead');
      const rows = await readLanded(await workerOf(store, group));
      assert.deepEqual(
        rows.map(({ message }) => message.id),
        [one.key.id],
      );
    },
  },
  {
    name: 'a landed message holds the later ones of its key, in whatever lane it is, and no others',
    guards: 'A later message would be handled before an earlier one of its key.',
    async run({ store }) {
      const group = freshGroup();
      const of = (key: string) => keyed(group, { key });
      const retry = { delayMs: LATER_MS, error: 'Error: no' };
      await landAll(store, of('waits'), of('follows'), of('follows'));
      await store.inbox.land([landing(of('fails'), { attempts: 2, retry })], WAIT_MS);
      await buryKeyed(store, of('blocks'), { blocks: true });
      await buryKeyed(store, of('skips'));
      const unordered = { ...of('unordered'), line: undefined };
      await landAll(store, unordered);
      for (const key of ['waits', 'follows', 'fails', 'blocks']) {
        const later = of(key);
        assert.equal(await claimKeyed(store, later), 'held', key);
        assert.equal(await claimKeyed(store, later), 'held', `${key}: nothing was written`);
        assert.equal(await claimKeyed(store, { ...later, line: undefined }), 'new', key);
      }
      for (const key of ['skips', 'unordered']) {
        assert.equal(await claimKeyed(store, of(key)), 'new', key);
      }
      for (const more of [{ topic: 'payment' }, { tenant: 'acme' }]) {
        assert.equal(await claimKeyed(store, keyed(group, { key: 'waits', ...more })), 'new');
      }
      assert.equal(await claimKeyed(store, keyed(freshGroup(), { key: 'waits' })), 'new');
    },
  },
  {
    name: 'a key is free again when its landed messages have been handled',
    guards: 'The key would land for ever, one transaction at a time.',
    async run({ store }) {
      const group = freshGroup();
      const [first, second, third] = [keyed(group), keyed(group), keyed(group)];
      await landAll(store, first, second);
      const worker = await workerOf(store, group);
      assert.equal(await handleLanded(store, first, await landedRow(worker, first)), 'new');
      assert.equal(await claimKeyed(store, third), 'held');
      assert.equal(await handleLanded(store, second, await landedRow(worker, second)), 'new');
      assert.deepEqual(await readLanded(worker), []);
      assert.equal(await claimKeyed(store, third), 'new');
      assert.equal(await claimKeyed(store, first), 'done');
    },
  },
  {
    name: 'handlers of a key exclude each other, whether its messages come from the broker or have landed',
    guards:
      'A replayed message would be handled beside a later one of its key, and neither would see what the other does.',
    async run({ store, newStore }) {
      const group = freshGroup();
      const other = await newStore();
      const [landed, direct, next] = [keyed(group), keyed(group), keyed(group)];
      await buryKeyed(store, landed);
      const handler = await openTransaction(store.transactions);
      assert.equal(await claimKeyed(store, direct, handler.transaction), 'new');
      assert.deepEqual(await store.inbox.replayDeadLetters([landed.key]), ['done']);
      await assert.rejects(
        claimLanded(other, landed, undefined, SHORT_MS),
        contractError('SAGAZ_INBOX_BUSY', landed.key.id),
      );
      await handler.commit();
      const second = await openTransaction(store.transactions);
      assert.equal(await claimLanded(store, landed, second.transaction), 'new');
      // It may wait for the handler in vain, or see that the key is held.
      const state = await claimKeyed(other, next, undefined, SHORT_MS).catch((error: unknown) => {
        assert.ok(error instanceof InboxBusyError);
        return 'busy';
      });
      assert.ok(state === 'busy' || state === 'held', state);
      await second.rollback();
    },
  },
  {
    name: 'handlers of different keys, and of messages without an order, do not wait for each other',
    guards: 'One slow handler would stop its whole group.',
    async run({ store, newStore }) {
      const group = freshGroup();
      const other = await newStore();
      const handler = await openTransaction(store.transactions);
      assert.equal(await claimKeyed(store, keyed(group), handler.transaction), 'new');
      assert.equal(await claimKeyed(other, keyed(group, { key: 'b' }), undefined, SHORT_MS), 'new');
      const unordered = { ...keyed(group), line: undefined };
      assert.equal(await claimKeyed(other, unordered, undefined, SHORT_MS), 'new');
      await handler.commit();
    },
  },
  {
    name: 'a claim that has waited for its key sees what landed meanwhile',
    guards:
      'A statement that waits and looks sees what was there before its wait: the message would pass one that landed.',
    async run({ store, newStore }) {
      const group = freshGroup();
      const [other, third] = [await newStore(), await newStore()];
      for (const what of ['an earlier one', 'itself']) {
        const [running, earlier, later] = [keyed(group), keyed(group), keyed(group)];
        const handler = await openTransaction(store.transactions);
        assert.equal(await claimKeyed(store, running, handler.transaction), 'new');
        const claim = claimKeyed(other, later);
        // Round trips, in which the claim comes to wait.
        for (let trip = 0; trip < 3; trip += 1) await claimKeyed(third, keyed(freshGroup()));
        const lands = what === 'itself' ? later : earlier;
        await landAll(third, lands);
        await handler.commit();
        assert.equal(await claim, what === 'itself' ? 'landed' : 'held', what);
        const worker = await workerOf(store, group);
        assert.equal(await handleLanded(store, lands, await landedRow(worker, lands)), 'new');
        await worker.queue.leave(worker.incarnation);
      }
    },
  },
  {
    name: 'numbers are drawn when all inbox rows are held, in the order given',
    guards:
      'A number that was drawn before a wait appears below those of messages that were read meanwhile.',
    async run({ store, newStore }) {
      const group = freshGroup();
      const other = await newStore();
      const [first, second, third] = [keyed(group), keyed(group), keyed(group)];
      const handler = await openTransaction(store.transactions);
      await claimKeyed(store, second, handler.transaction);
      const waiting = landAll(other, first, second);
      for (let trip = 0; trip < 3; trip += 1) await claimKeyed(store, keyed(freshGroup()));
      assert.equal(await landAll(store, third), 1);
      await handler.rollback();
      assert.equal(await waiting, 2);
      const batch = Array.from({ length: 30 }, () => keyed(group));
      assert.equal(await landAll(store, ...batch), 30);
      const rows = await readLanded(await workerOf(store, group));
      assert.deepEqual(
        rows.map(({ message }) => message.id),
        [third, first, second, ...batch].map(({ key }) => key.id),
      );
    },
  },
  {
    name: 'callers that land the same messages at once land each once, and none waits in a circle',
    guards: 'Two owners of a partition overlap: both land what they have.',
    async run({ store, newStore }) {
      const group = freshGroup();
      const other = await newStore();
      for (let round = 0; round < 20; round += 1) {
        const batch = Array.from({ length: 8 }, (_, i) => keyed(group, { key: `${round} ${i}` }));
        const landed = await Promise.all([
          landAll(store, ...batch),
          landAll(other, ...batch.toReversed()),
        ]);
        assert.equal(landed[0] + landed[1], batch.length);
      }
    },
  },
  {
    name: 'the wait of a landing for a handler of the message is bounded, and nothing is landed',
    guards: 'A partition would stand still behind a handler that is frozen.',
    async run({ store, newStore }) {
      const group = freshGroup();
      const other = await newStore();
      const [held, free] = [keyed(group), keyed(group, { key: 'b' })];
      const handler = await openTransaction(store.transactions);
      await claimKeyed(store, held, handler.transaction);
      await assert.rejects(
        other.inbox.land([landing(free), landing(held)], SHORT_MS),
        contractError('SAGAZ_INBOX_BUSY'),
      );
      await handler.commit();
      assert.equal(await landAll(other, free, held), 1);
    },
  },
  {
    name: 'what a message is made of survives its landing, also what no row and no index can hold',
    guards:
      'A message of another producer could neither be handled nor landed, and would come for ever.',
    async run({ store }) {
      const group = freshGroup();
      const odd = [
        keyed(group, { key: 'a\0b', topic: 't\ud800' }),
        keyed(group, { key: 'k'.repeat(5_000), type: 'order\0placed', contentType: 'text/\ud800' }),
        keyed(group, { key: 'caf\u00e9 \u2713 $1', headers: { 'x-mine': "it's \u00fc\\\0" } }),
        keyed(group, { payload: Uint8Array.from({ length: 100_000 }, (_, i) => (i * 7) & 0xff) }),
      ];
      await landAll(store, ...odd);
      const worker = await workerOf(store, group);
      for (const one of odd) {
        assert.equal(
          await claimKeyed(store, { ...one, key: { ...one.key, id: `${one.key.id}-2` } }),
          'held',
        );
      }
      const rows = await readLanded(worker);
      for (const [at, { message }] of odd.entries()) {
        const row = rows[at];
        assert.ok(row !== undefined);
        const read = originalOf(row.message);
        assert.equal(Buffer.compare(read.payload, message.payload), 0);
        assert.deepEqual({ ...read, payload: null }, { ...message, payload: null });
      }
    },
  },
  {
    name: 'a message that landed after failures has its place at once, with its time and its attempts',
    guards:
      'An owner that does not read it before its followers handles them first; a retry would come at once, or its attempts would begin anew.',
    async run({ store }) {
      const group = freshGroup();
      const [now, later] = [keyed(group), keyed(group, { key: 'b' })];
      const retry = (delayMs: number) => ({ attempts: 3, retry: { delayMs, error: 'Error: no' } });
      await store.inbox.land([landing(now, retry(0)), landing(later, retry(LATER_MS))], WAIT_MS);
      const worker = await workerOf(store, group);
      const rows = await readLanded(worker);
      assert.deepEqual(
        rows.map(({ message, attempts }) => [message.id, attempts]),
        [
          [now.key.id, 3],
          [later.key.id, 3],
        ],
      );
      const dueInMs = rows.map((row) => row.dueInMs ?? 0);
      assert.ok((dueInMs[0] ?? 0) < LATER_MS / 2, String(dueInMs));
      assert.ok((dueInMs[1] ?? 0) > LATER_MS / 2, String(dueInMs));
    },
  },
  {
    name: 'a landed message is not pruned, and one that was handled is kept from its end on',
    guards: 'A late duplicate would find nothing, and be handled again.',
    async run({ store }) {
      const group = freshGroup();
      const [waits, handled, dead] = [keyed(group), keyed(group, { key: 'b' }), keyed(group)];
      await landAll(store, waits, handled);
      await buryKeyed(store, dead);
      while ((await store.inbox.prune(0, 1_000)) > 0);
      assert.equal(await claimKeyed(store, waits), 'landed');
      assert.equal(await claimKeyed(store, dead), 'dead');
      const worker = await workerOf(store, group);
      const row = await landedRow(worker, handled);
      const landedAt = systemClock.now();
      while (systemClock.now() - landedAt < 500) await claimOnce(store, keyed(freshGroup()).key);
      const before = systemClock.now();
      assert.equal(await handleLanded(store, handled, row), 'new');
      await store.inbox.prune(400, 1_000);
      // On a machine that is slower, it may have been pruned with reason.
      if (systemClock.now() - before < 400) assert.equal(await claimKeyed(store, handled), 'done');
    },
  },
];
