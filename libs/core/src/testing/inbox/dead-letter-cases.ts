import assert from 'node:assert/strict';
import { systemClock } from '../../clock/index.js';
import type { InboxAttempts } from '../../ports/index.js';
import type { ContractCase } from '../contract-case.js';
import { contractError } from './contract-error.js';
import {
  SHORT_MS,
  WAIT_MS,
  buryOnce,
  claimOnce,
  freshKey,
  messageOf,
  openTransaction,
  type InboxStoreFixture,
} from './inbox-fixture.js';

/** A message that cannot be handled is kept, and comes back whole. */
export const deadLetterCases: readonly ContractCase<InboxStoreFixture>[] = [
  {
    name: 'a dead letter keeps the whole message and says why it died',
    guards: 'A dead letter that lost a header or a byte cannot be replayed.',
    async run({ store }) {
      const key = freshKey();
      const message = messageOf(key, {
        tenant: '',
        key: 'order "7" \u2713 $1',
        headers: { traceparent: '00-ab', 'x-mine': "it's \u00fc\\" },
        payload: Uint8Array.from({ length: 1_048_576 }, (_, i) => (i * 7) & 0xff),
      });
      assert.equal(await buryOnce(store, key, message), true);
      const [letter, ...others] = await store.inbox.listDeadLetters({ group: key.group });
      assert.ok(letter !== undefined && others.length === 0);
      assert.equal(Buffer.compare(letter.message.payload, message.payload), 0);
      assert.deepEqual({ ...letter.message, payload: null }, { ...message, payload: null });
      assert.equal(letter.attempts, 5);
      assert.equal(letter.reason, 'exhausted');
      assert.equal(letter.error, 'Error: no');
      assert.ok(Math.abs(letter.diedAt.getTime() - systemClock.date().getTime()) < 3_600_000);
    },
  },
  {
    name: 'a trailing duplicate of a dead letter finds it dead',
    guards: 'It would be handled out of order, after later messages of its key.',
    async run({ store, newStore }) {
      const key = freshKey();
      await buryOnce(store, key);
      assert.equal(await claimOnce(await newStore(), key), 'dead');
    },
  },
  {
    name: 'a burial yields to a handler that commits meanwhile',
    guards: 'The message would be dead and done at once, and replayed although it was handled.',
    async run({ store, newStore }) {
      const key = freshKey();
      const other = await newStore();
      const handler = await openTransaction(store.transactions);
      await store.inbox.claim(key, handler.transaction, WAIT_MS);
      await assert.rejects(
        other.transactions.run((transaction) =>
          other.inbox.bury(
            key,
            { message: messageOf(key), attempts: 1, reason: 'final', error: 'x' },
            transaction,
            SHORT_MS,
            undefined,
          ),
        ),
        contractError('SAGAZ_INBOX_BUSY', key.id),
      );
      const burial = buryOnce(other, key);
      await handler.commit();
      assert.equal(await burial, false);
      assert.deepEqual(await store.inbox.listDeadLetters({ group: key.group }), []);
      assert.equal(await claimOnce(other, key), 'done');
    },
  },
  {
    name: 'a burial takes the message when the handler at work rolls back',
    guards: 'The message would be neither done nor dead, and come back for ever.',
    async run({ store, newStore }) {
      const key = freshKey();
      const handler = await openTransaction(store.transactions);
      await store.inbox.claim(key, handler.transaction, WAIT_MS);
      const burial = buryOnce(await newStore(), key);
      await handler.rollback();
      assert.equal(await burial, true);
      assert.equal(await claimOnce(store, key), 'dead');
    },
  },
  {
    name: 'a handler that waits for a burial finds the message dead',
    guards: 'One process gives up while another succeeds: it must be one or the other.',
    async run({ store, newStore }) {
      const key = freshKey();
      const burial = await openTransaction(store.transactions);
      await store.inbox.bury(
        key,
        { message: messageOf(key), attempts: 1, reason: 'final', error: 'x' },
        burial.transaction,
        WAIT_MS,
        undefined,
      );
      const handler = claimOnce(await newStore(), key);
      await burial.commit();
      assert.equal(await handler, 'dead');
    },
  },
  {
    name: 'a rolled back burial leaves no letter',
    guards: 'The failure reply rolls back with it, so the letter must too.',
    async run({ store }) {
      const key = freshKey();
      const burial = await openTransaction(store.transactions);
      const letter = { message: messageOf(key), attempts: 1, reason: 'final', error: 'x' };
      await store.inbox.bury(key, letter, burial.transaction, WAIT_MS, undefined);
      await burial.rollback();
      assert.deepEqual(await store.inbox.listDeadLetters({ group: key.group }), []);
      assert.equal(await claimOnce(store, key), 'new');
    },
  },
  {
    name: 'dead letters are listed oldest first, filtered and in pages',
    guards: 'What cannot be found cannot be replayed.',
    async run({ store }) {
      const { group } = freshKey();
      const keys = Array.from({ length: 5 }, () => freshKey({ group }));
      for (const [i, key] of keys.entries()) {
        const more = i === 4 ? { topic: 'payment', type: 'payment.charge', key: 'order-9' } : {};
        await buryOnce(store, key, messageOf(key, more));
      }
      const ids = async (filter: object) =>
        (await store.inbox.listDeadLetters({ group, ...filter })).map(({ message }) => message.id);
      assert.deepEqual(
        await ids({}),
        keys.map(({ id }) => id),
      );
      const last = keys[4]?.id;
      assert.deepEqual(await ids({ topic: 'payment' }), [last]);
      assert.deepEqual(await ids({ type: 'payment.charge' }), [last]);
      assert.deepEqual(await ids({ key: 'order-9' }), [last]);
      assert.deepEqual(await ids({ key: 'order-9', topic: 'inventory' }), []);
      const page = await store.inbox.listDeadLetters({ group, limit: 2 });
      const after = page[1]?.cursor ?? '';
      assert.deepEqual(
        await ids({ limit: 2, after }),
        keys.slice(2, 4).map(({ id }) => id),
      );
    },
  },
  {
    name: 'attempts are counted outside of every transaction, and begin anew after a burial',
    guards:
      'A message that kills its process rolls its own count back, and would crash the next one for ever.',
    async run({ store, newStore }) {
      const key = freshKey();
      const other = await newStore();
      const handler = await openTransaction(store.transactions);
      await store.inbox.claim(key, handler.transaction, WAIT_MS);
      const none: InboxAttempts = { failures: 0, timeouts: 0, starts: 0, crashes: 0 };
      const { inbox } = store;
      assert.deepEqual(await inbox.noteStart(key, false), { ...none, starts: 1 });
      await handler.rollback();
      assert.deepEqual(await other.inbox.noteStart(key, true), { ...none, starts: 1, crashes: 1 });
      assert.deepEqual(await other.inbox.noteCompany(key), { ...none, starts: 2 });
      assert.deepEqual(await other.inbox.noteCompany(key), { ...none, starts: 3 });
      assert.deepEqual(await inbox.noteStart(key, true), { ...none, starts: 3, crashes: 1 });
      assert.deepEqual(await inbox.takeBackStart(key, true), { ...none, starts: 3 });
      assert.deepEqual(await inbox.takeBackStart(key, false), { ...none, starts: 2 });
      const untouched = freshKey();
      assert.deepEqual(await inbox.takeBackStart(untouched, true), none);
      assert.deepEqual(await inbox.takeBackStart(untouched, false), none);
      const failed = { ...none, failures: 1 };
      assert.deepEqual(await other.inbox.noteEnd(key, 'failed'), failed);
      assert.deepEqual(await other.inbox.noteStart(key, true), { ...failed, crashes: 1 });
      assert.deepEqual(await other.inbox.noteStart(key, true), { ...failed, crashes: 2 });
      assert.deepEqual(await other.inbox.noteEnd(key, 'uncounted'), failed);
      assert.deepEqual(await inbox.readAttempts(key), failed);
      assert.deepEqual(await inbox.readAttempts(freshKey()), none);
      const timedOut = { ...none, failures: 2, timeouts: 1 };
      assert.deepEqual(await inbox.noteEnd(key, 'timed_out'), timedOut);
      await buryOnce(store, key);
      assert.deepEqual(await inbox.noteEnd(key, 'failed'), failed);
    },
  },
  {
    name: 'the time left until an instant is told by the clock of the store',
    guards: 'A host whose clock is wrong would refuse good commands or carry out expired ones.',
    async run({ store }) {
      const left = await store.inbox.msUntil('2999-01-01T00:00:00.000Z');
      assert.ok(
        Math.abs(left - (Date.parse('2999-01-01T00:00:00.000Z') - systemClock.date().getTime())) <
          3_600_000,
      );
      assert.ok((await store.inbox.msUntil('2020-01-01T01:00:00.000+01:00')) < 0);
    },
  },
];
