import assert from 'node:assert/strict';
import type { ContractCase } from '../contract-case.js';
import { queueOf, type OutboxStoreFixture } from './outbox-fixture.js';
import { outboxMessage } from './outbox-message.js';
import { bodiesOf, readAll, whileOpen } from './slot-queue-fixture.js';

export const delayCases: readonly ContractCase<OutboxStoreFixture>[] = [
  {
    name: 'shows a delayed message when its time has come, and not before',
    guards: 'Delays.',
    async run({ outbox, pass }) {
      const hour = 3_600_000;
      await outbox.append([outboxMessage('other', 'much later', { delayMs: hour })]);
      assert.equal(await outbox.promote(10), 0);
      assert.deepEqual(await readAll(outbox), []);
      const slots = Array.from({ length: outbox.slots }, (_, slot) => slot);
      const due = await outbox.nextDueInMs(slots);
      assert.ok(due !== null && due > 0 && due <= hour);
      await outbox.append([outboxMessage('k', 'later', { delayMs: 300 })]);
      await pass(350);
      assert.equal(await outbox.promote(10), 1);
      assert.equal(await outbox.promote(10), 0);
      assert.deepEqual(bodiesOf(await readAll(outbox)), ['k:later']);
    },
  },
  {
    name: 'gives a delayed message its place only when it is due',
    guards: 'A message for tomorrow must not hold back its key until tomorrow.',
    async run({ outbox, pass }) {
      await outbox.append([outboxMessage('k', 'later', { delayMs: 100 })]);
      await outbox.append([outboxMessage('k', 1)]);
      assert.deepEqual(bodiesOf(await readAll(outbox)), ['k:1']);
      await pass(150);
      await outbox.append([outboxMessage('k', 2)]);
      await outbox.promote(10);
      await outbox.append([outboxMessage('k', 3)]);
      assert.deepEqual(bodiesOf(await readAll(outbox)), ['k:1', 'k:2', 'k:later', 'k:3']);
    },
  },
  {
    name: 'shows no promoted message before an earlier one of its key has been committed',
    guards: 'Promotion draws a number too: without the lock of the key it overtakes.',
    async run(fixture) {
      const { outbox, newOutbox, pass } = fixture;
      const other = await newOutbox();
      await outbox.append([outboxMessage('k', 'later', { delayMs: 50 })]);
      await whileOpen(queueOf(fixture), [outboxMessage('k', 1)], async (open) => {
        await pass(100);
        const promoting = other.promote(10);
        await outbox.append([outboxMessage('other', 1)]);
        assert.deepEqual(bodiesOf(await readAll(outbox)), ['other:1']);
        await open.commit();
        await promoting;
      });
      await other.promote(10);
      assert.deepEqual(bodiesOf(await readAll(outbox), 'k'), ['k:1', 'k:later']);
    },
  },
  {
    name: 'promotes each message once, however many promote at once',
    guards: 'Every relay promotes; a message must not be doubled by that.',
    async run({ outbox, newOutbox, pass }) {
      const others = [outbox, await newOutbox(), await newOutbox()];
      await outbox.append(
        Array.from({ length: 20 }, (_, n) => outboxMessage(`k${n % 4}`, n, { delayMs: 20 })),
      );
      await pass(50);
      const counts = await Promise.all(others.map((other) => other.promote(100)));
      const more = await outbox.promote(100);
      assert.equal(
        counts.reduce((sum, count) => sum + count, more),
        20,
      );
      const rows = await readAll(outbox);
      assert.equal(new Set(rows.map((row) => row.message.id)).size, 20);
      assert.equal(rows.length, 20);
    },
  },
];
