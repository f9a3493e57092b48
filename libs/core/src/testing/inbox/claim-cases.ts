import assert from 'node:assert/strict';
import { setTimeout as pause } from 'node:timers/promises';
import { contractError } from './contract-error.js';
import type { ContractCase } from '../contract-case.js';
import {
  SHORT_MS,
  WAIT_MS,
  buryOnce,
  claimOnce,
  freshKey,
  openTransaction,
  type InboxStoreFixture,
} from './inbox-fixture.js';

/** The cases that decide whether a delivery may handle a message. */
export const claimCases: readonly ContractCase<InboxStoreFixture>[] = [
  {
    name: 'a message is new once, and done for whoever comes after the commit',
    guards: 'Effects happen once: a redelivered message must find that it was handled.',
    async run({ store, newStore }) {
      const key = freshKey();
      assert.equal(await claimOnce(store, key), 'new');
      assert.equal(await claimOnce(store, key), 'done');
      assert.equal(await claimOnce(await newStore(), key), 'done');
    },
  },
  {
    name: 'of two overlapping deliveries the second waits, and is done when the first commits',
    guards: 'Two at once: one works, one waits and drops. Without the wait both would work.',
    async run({ store, newStore }) {
      const key = freshKey();
      const other = await newStore();
      const first = await openTransaction(store.transactions);
      assert.equal(await store.inbox.claim(key, first.transaction, WAIT_MS), 'new');
      let answered = false;
      const second = other.transactions.run(async (transaction) => {
        const state = await other.inbox.claim(key, transaction, WAIT_MS);
        answered = true;
        return state;
      });
      // A round trip of its own on the same database: had the second not waited, it would be there.
      assert.equal(await claimOnce(other, freshKey()), 'new');
      assert.equal(answered, false, 'the second must wait for the end of the first');
      await first.commit();
      assert.equal(await second, 'done');
    },
  },
  {
    name: 'of two overlapping deliveries the second is new when the first rolls back',
    guards: 'A message whose handler failed must not be taken for handled: it would be lost.',
    async run({ store, newStore }) {
      const key = freshKey();
      const other = await newStore();
      const first = await openTransaction(store.transactions);
      assert.equal(await store.inbox.claim(key, first.transaction, WAIT_MS), 'new');
      const second = claimOnce(other, key);
      await first.rollback();
      assert.equal(await second, 'new');
    },
  },
  {
    name: 'a rolled back claim leaves nothing behind',
    guards: 'A claim that outlives its transaction loses the message of every failing handler.',
    async run({ store }) {
      const key = freshKey();
      const first = await openTransaction(store.transactions);
      await store.inbox.claim(key, first.transaction, WAIT_MS);
      await first.rollback();
      assert.equal(await claimOnce(store, key), 'new');
    },
  },
  {
    name: 'two groups handle the same message, each once',
    guards: 'With the message id alone as key the second group would never get the message.',
    async run({ store }) {
      const key = freshKey();
      const other = { ...key, group: `${key.group}-b` };
      assert.equal(await claimOnce(store, key), 'new');
      assert.equal(await claimOnce(store, other), 'new');
      assert.equal(await claimOnce(store, key), 'done');
      assert.equal(await claimOnce(store, other), 'done');
    },
  },
  {
    name: 'the same id from another source is another message',
    guards: 'Ids are unique per source: plain producers that count from 1 would drop each other.',
    async run({ store }) {
      const key = freshKey({ id: '1' });
      assert.equal(await claimOnce(store, key), 'new');
      assert.equal(await claimOnce(store, { ...key, source: 'warehouse' }), 'new');
    },
  },
  {
    name: 'the same id of another tenant is another message',
    guards: 'One tenant must not be able to swallow the messages of another.',
    async run({ store }) {
      const key = freshKey();
      assert.equal(await claimOnce(store, key), 'new');
      assert.equal(await claimOnce(store, { ...key, tenant: 'acme' }), 'new');
    },
  },
  {
    name: 'names that differ only in case are different names',
    guards: 'A comparison that ignores case drops messages that are no duplicates.',
    async run({ store }) {
      const key = freshKey({ id: freshKey().id.toLowerCase() });
      const keys = [
        key,
        { ...key, id: key.id.toUpperCase() },
        { ...key, group: key.group.toUpperCase() },
        { ...key, source: key.source.toUpperCase() },
      ];
      for (const one of keys) assert.equal(await claimOnce(store, one), 'new');
      for (const one of keys) assert.equal(await claimOnce(store, one), 'done');
    },
  },
  {
    name: 'names that differ only in spaces at their end or in their composition are different names',
    guards: 'Padding or normalisation would drop messages that are no duplicates.',
    async run({ store }) {
      const key = freshKey({ id: `${freshKey().id}-caf\u00e9` });
      const keys = [
        key,
        { ...key, id: `${key.id} ` },
        { ...key, id: key.id.replace('\u00e9', 'e\u0301') },
        { ...key, id: `${key.id}'; --` },
      ];
      for (const one of keys) assert.equal(await claimOnce(store, one), 'new');
    },
  },
  {
    name: 'the wait for another transaction is bounded and names the message',
    guards:
      'Redeliveries of a slow message would each keep a connection until the pool has none left.',
    async run({ store, newStore }) {
      const key = freshKey();
      const other = await newStore();
      const first = await openTransaction(store.transactions);
      await store.inbox.claim(key, first.transaction, WAIT_MS);
      try {
        await assert.rejects(
          other.transactions.run((transaction) => other.inbox.claim(key, transaction, SHORT_MS)),
          contractError('SAGAZ_INBOX_BUSY', key.id),
        );
      } finally {
        await first.commit();
      }
      assert.equal(await claimOnce(other, key), 'done');
    },
  },
  {
    name: 'the wait is bounded also for who comes after one that has waited',
    guards:
      'What holds a message after the first holder is gone must hold it in the same way, or the next delivery waits without end.',
    async run({ store, newStore }) {
      const key = freshKey();
      const [other, third] = [await newStore(), await newStore()];
      const first = await openTransaction(store.transactions);
      await store.inbox.claim(key, first.transaction, WAIT_MS);
      const second = await openTransaction(other.transactions);
      const taken = other.inbox.claim(key, second.transaction, WAIT_MS);
      // Round trips, in which the second comes to wait.
      for (let trip = 0; trip < 3; trip += 1) await claimOnce(third, freshKey());
      await first.rollback();
      assert.equal(await taken, 'new');
      const late = third.transactions.run((transaction) =>
        third.inbox.claim(key, transaction, SHORT_MS),
      );
      const refused = assert.rejects(late, contractError('SAGAZ_INBOX_BUSY', key.id));
      await Promise.race([refused, pause(WAIT_MS, undefined, { ref: false })]);
      await second.commit();
      await refused;
    },
  },
  {
    name: 'the bound of the wait ends with the claim',
    guards:
      'A lock timeout left behind in the transaction would break the statements of the handler.',
    async run({ store, newStore }) {
      const [mine, theirs] = [freshKey(), freshKey()];
      const other = await newStore();
      const holder = await openTransaction(other.transactions);
      await other.inbox.claim(theirs, holder.transaction, WAIT_MS);
      const handler = await openTransaction(store.transactions);
      assert.equal(await store.inbox.claim(mine, handler.transaction, SHORT_MS), 'new');
      const waiting = store.inbox.claim(theirs, handler.transaction, WAIT_MS);
      await holder.rollback();
      assert.equal(await waiting, 'new');
      await handler.commit();
    },
  },
  {
    name: 'a transaction whose failed statement was swallowed cannot be taken for committed',
    guards:
      'A database answers COMMIT of a failed transaction without an error: acknowledged, the message would be gone with its effects.',
    async run({ store, newStore }) {
      const [held, key] = [freshKey(), freshKey()];
      const other = await newStore();
      const holder = await openTransaction(other.transactions);
      await other.inbox.claim(held, holder.transaction, WAIT_MS);
      try {
        await assert.rejects(
          store.transactions.run(async (transaction) => {
            await store.inbox.claim(key, transaction, WAIT_MS);
            await store.inbox.claim(held, transaction, SHORT_MS).catch(() => undefined);
          }),
          contractError('SAGAZ_TRANSACTION_ABORTED'),
        );
      } finally {
        await holder.rollback();
      }
      assert.equal(await claimOnce(store, key), 'new');
    },
  },
  {
    name: 'of twenty duplicates at once exactly one is new',
    guards: 'Effects happen once, whoever delivers the message and however often at once.',
    async run({ store, newStore }) {
      const key = freshKey();
      const other = await newStore();
      const states = await Promise.all(
        Array.from({ length: 20 }, (_, i) => claimOnce(i % 2 === 0 ? store : other, key)),
      );
      assert.equal(states.filter((state) => state === 'new').length, 1);
      assert.equal(states.filter((state) => state === 'done').length, 19);
    },
  },
  {
    name: 'a message that is being handled survives pruning, and so does its end',
    guards: 'Pruning under a running handler would let its duplicate work beside it.',
    async run({ store, newStore }) {
      const key = freshKey();
      const other = await newStore();
      const handler = await openTransaction(store.transactions);
      await store.inbox.claim(key, handler.transaction, WAIT_MS);
      await other.inbox.prune(0, 10_000);
      await assert.rejects(
        other.transactions.run((transaction) => other.inbox.claim(key, transaction, SHORT_MS)),
        contractError('SAGAZ_INBOX_BUSY', key.id),
      );
      await handler.commit();
      await other.inbox.prune(60_000, 10_000);
      assert.equal(await claimOnce(other, key), 'done');
    },
  },
  {
    name: 'pruning forgets what is old, in batches, and never a message whose dead letter lies there',
    guards:
      'The inbox must not grow for ever; and a trailing duplicate of a dead letter must stay dropped.',
    async run({ store }) {
      const group = freshKey().group;
      // Messages that other cases left in the same database must not be counted.
      while ((await store.inbox.prune(0, 1_000)) > 0);
      const done = Array.from({ length: 5 }, () => freshKey({ group }));
      const dead = freshKey({ group });
      for (const key of done) await claimOnce(store, key);
      await buryOnce(store, dead);
      assert.equal(await store.inbox.prune(0, 2), 2);
      while ((await store.inbox.prune(0, 1_000)) > 0);
      for (const key of done) assert.equal(await claimOnce(store, key), 'new');
      assert.equal(await claimOnce(store, dead), 'dead');
    },
  },
];
