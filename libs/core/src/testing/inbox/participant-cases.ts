import assert from 'node:assert/strict';
import type { KeptReply } from '../../ports/index.js';
import { freshName, type ContractCase } from '../contract-case.js';
import { contractError } from './contract-error.js';
import {
  KEEP_MS,
  SHORT_MS,
  WAIT_MS,
  openTransaction,
  type InboxParts,
  type InboxStoreFixture,
} from './inbox-fixture.js';

const reply: KeptReply = {
  type: 'sagaz.reply',
  status: 'ok',
  contentType: 'application/json',
  payload: new Uint8Array([123, 34, 0, 255, 34, 125]),
};

function begin(parts: InboxParts, key: string, tenant = '') {
  return parts.transactions.run(async (transaction) => {
    const state = await parts.inbox.beginCommand(tenant, key, KEEP_MS, transaction, WAIT_MS);
    if (state.kind === 'first') await parts.inbox.keepReply(tenant, key, reply, transaction);
    return state;
  });
}

function undo(parts: InboxParts, key: string, tenant = '') {
  return parts.transactions.run((transaction) =>
    parts.inbox.markUndone(tenant, key, KEEP_MS, transaction, WAIT_MS),
  );
}

function freshStep(): string {
  return `${freshName('saga')}:reserve`;
}

/** The record that a participant has of a step. */
export const participantCases: readonly ContractCase<InboxStoreFixture>[] = [
  {
    name: 'a repeated command finds the reply of the first, byte for byte',
    guards: 'A new attempt with a new message id must be answered, or the saga waits for ever.',
    async run({ store, newStore }) {
      const key = freshStep();
      assert.deepEqual(await begin(store, key), { kind: 'first' });
      const again = await begin(await newStore(), key);
      assert.ok(again.kind === 'applied' && again.reply !== null);
      assert.deepEqual(
        { ...again.reply, payload: [...again.reply.payload] },
        { ...reply, payload: [...reply.payload] },
      );
    },
  },
  {
    name: 'a compensation after the command is told that it was applied',
    guards: 'An undo that thinks there is nothing to undo leaves the effect for ever.',
    async run({ store }) {
      const key = freshStep();
      await begin(store, key);
      assert.equal(await undo(store, key), 'applied');
      assert.equal(await undo(store, key), 'applied', 'and so is a repeated one');
    },
  },
  {
    name: 'a compensation that comes first is told unknown, and its command comes too late',
    guards: 'A late command must never outlive its compensation.',
    async run({ store, newStore }) {
      const key = freshStep();
      assert.equal(await undo(store, key), 'unknown');
      assert.deepEqual(await begin(await newStore(), key), { kind: 'undone' });
    },
  },
  {
    name: 'a command repeated after its undo does nothing',
    guards: 'A trailing duplicate of a command must not redo what was undone.',
    async run({ store }) {
      const key = freshStep();
      await begin(store, key);
      await undo(store, key);
      assert.deepEqual(await begin(store, key), { kind: 'undone' });
    },
  },
  {
    name: 'a rolled back command leaves no row',
    guards:
      'A failed command must be carried out by its next attempt, and its compensation told that nothing is known.',
    async run({ store }) {
      const key = freshStep();
      const command = await openTransaction(store.transactions);
      await store.inbox.beginCommand('', key, KEEP_MS, command.transaction, WAIT_MS);
      await command.rollback();
      assert.deepEqual(await begin(store, key), { kind: 'first' });
    },
  },
  {
    name: 'a rolled back compensation leaves no mark',
    guards: 'A compensation that failed has undone nothing.',
    async run({ store }) {
      const key = freshStep();
      const compensation = await openTransaction(store.transactions);
      await store.inbox.markUndone('', key, KEEP_MS, compensation.transaction, WAIT_MS);
      await compensation.rollback();
      assert.deepEqual(await begin(store, key), { kind: 'first' });
    },
  },
  {
    name: 'a compensation waits for the command that is at work, and is told what it did',
    guards:
      'Checked at the end instead of the start, both would pass each other and the effect would stay.',
    async run({ store, newStore }) {
      const key = freshStep();
      const other = await newStore();
      const command = await openTransaction(store.transactions);
      await store.inbox.beginCommand('', key, KEEP_MS, command.transaction, WAIT_MS);
      await assert.rejects(
        other.transactions.run((transaction) =>
          other.inbox.markUndone('', key, KEEP_MS, transaction, SHORT_MS),
        ),
        contractError('SAGAZ_INBOX_BUSY', key),
      );
      const compensation = undo(other, key);
      await command.commit();
      assert.equal(await compensation, 'applied');
    },
  },
  {
    name: 'a command waits for the compensation that is at work, and then does nothing',
    guards: 'The command would pass the compensation and its effect would stay.',
    async run({ store, newStore }) {
      const key = freshStep();
      const other = await newStore();
      const compensation = await openTransaction(store.transactions);
      await store.inbox.markUndone('', key, KEEP_MS, compensation.transaction, WAIT_MS);
      await assert.rejects(
        other.transactions.run((transaction) =>
          other.inbox.beginCommand('', key, KEEP_MS, transaction, SHORT_MS),
        ),
        contractError('SAGAZ_INBOX_BUSY', key),
      );
      const command = begin(other, key);
      await compensation.commit();
      assert.deepEqual(await command, { kind: 'undone' });
    },
  },
  {
    name: 'a repeated command that overtakes a compensation under way does nothing once that commits',
    guards: 'It would answer that all is done while it is being undone.',
    async run({ store, newStore }) {
      const key = freshStep();
      await begin(store, key);
      const compensation = await openTransaction(store.transactions);
      await store.inbox.markUndone('', key, KEEP_MS, compensation.transaction, WAIT_MS);
      const other = await newStore();
      await assert.rejects(
        other.transactions.run((transaction) =>
          other.inbox.beginCommand('', key, KEEP_MS, transaction, SHORT_MS),
        ),
        contractError('SAGAZ_INBOX_BUSY', key),
      );
      const command = begin(other, key);
      await compensation.commit();
      assert.deepEqual(await command, { kind: 'undone' });
    },
  },
  {
    name: 'a refused command counts as not applied for its compensation',
    guards: 'A refusal is an answer and no effect; there is nothing to undo.',
    async run({ store }) {
      const key = freshStep();
      await store.transactions.run(async (transaction) => {
        await store.inbox.beginCommand('', key, KEEP_MS, transaction, WAIT_MS);
        await store.inbox.keepReply('', key, { ...reply, status: 'refused' }, transaction);
      });
      const again = await begin(store, key);
      assert.ok(again.kind === 'applied' && again.reply?.status === 'refused');
      assert.equal(await undo(store, key), 'unknown');
    },
  },
  {
    name: 'steps, generations, items, cases and tenants have rows of their own',
    guards: 'A run after an undo raises the generation; it must not meet its own mark.',
    async run({ store }) {
      const key = freshStep();
      await begin(store, key);
      await undo(store, key);
      for (const other of [`${key}#1`, `${key}:sku-1`, `${key}:sku-1#1`, key.toUpperCase()]) {
        assert.deepEqual(await begin(store, other), { kind: 'first' }, other);
      }
      assert.deepEqual(await begin(store, key, 'acme'), { kind: 'first' });
    },
  },
  {
    name: 'a look at a key writes nothing',
    guards: 'An expired command that is only answered must leave its key to a later attempt.',
    async run({ store }) {
      const key = freshStep();
      const look = () =>
        store.transactions.run((transaction) =>
          store.inbox.lookAtParticipant('', key, transaction),
        );
      assert.deepEqual(await look(), { kind: 'first' });
      assert.deepEqual(await begin(store, key), { kind: 'first' });
      assert.equal((await look()).kind, 'applied');
      await undo(store, key);
      assert.deepEqual(await look(), { kind: 'undone' });
    },
  },
  {
    name: 'marks outlive the pruning of messages and go when their time has come',
    guards:
      'A dead letter replayed after its mark was forgotten would carry out an undone command.',
    async run({ store }) {
      const [kept, short] = [freshStep(), freshStep()];
      await undo(store, kept);
      await store.transactions.run((transaction) =>
        store.inbox.markUndone('', short, 0, transaction, WAIT_MS),
      );
      while ((await store.inbox.prune(0, 1_000)) > 0);
      assert.deepEqual(await begin(store, kept), { kind: 'undone' });
      assert.deepEqual(await begin(store, short), { kind: 'first' });
    },
  },
  {
    name: 'a mark is kept as long as the longest that was asked for',
    guards: 'A compensation with a shorter memory must not cut that of the command.',
    async run({ store }) {
      const key = freshStep();
      await begin(store, key);
      await store.transactions.run((transaction) =>
        store.inbox.markUndone('', key, 0, transaction, WAIT_MS),
      );
      while ((await store.inbox.prune(0, 1_000)) > 0);
      assert.deepEqual(await begin(store, key), { kind: 'undone' });
    },
  },
  {
    name: 'a reply of a megabyte of any bytes is kept as it is',
    guards: 'A kept reply that differs from the first one answers the same question twice.',
    async run({ store }) {
      const key = freshStep();
      const payload = Uint8Array.from({ length: 1_048_576 }, (_, i) => (i * 31) & 0xff);
      await store.transactions.run(async (transaction) => {
        await store.inbox.beginCommand('', key, KEEP_MS, transaction, WAIT_MS);
        await store.inbox.keepReply('', key, { ...reply, payload }, transaction);
      });
      const again = await begin(store, key);
      assert.ok(again.kind === 'applied' && again.reply !== null);
      assert.equal(Buffer.compare(again.reply.payload, payload), 0);
    },
  },
];
