import assert from 'node:assert/strict';
import { inboxKeyOf, lineOf, NoConnectionError } from '../../messaging/index.js';
import type { InboxAttempts, Message } from '../../ports/index.js';
import type { ContractCase } from '../contract-case.js';
import { Consumer, freshEvent, type InboxDeliveryFixture } from './consumer.js';
import { killed, works } from './crash-cases.js';
import { openTransaction } from './inbox-fixture.js';

function noted(counts: Partial<InboxAttempts>): InboxAttempts {
  return { failures: 0, timeouts: 0, starts: 0, crashes: 0, ...counts };
}

/** Reasons for which an attempt is put off before it calls its handler. */
const PUT_OFF: readonly {
  readonly what: string;
  readonly putOff: (
    fixture: InboxDeliveryFixture,
    consumer: Consumer,
    message: Message,
    delivery: number,
  ) => Promise<unknown>;
}[] = [
  {
    what: 'another transaction holds it for a moment',
    async putOff({ store }, consumer, message, delivery) {
      const other = await openTransaction(store.transactions);
      const key = inboxKeyOf(consumer.group, message);
      const line = lineOf(key, { message });
      await store.inbox.claim(key, other.transaction, 1_000, line === undefined ? {} : { line });
      await consumer.receive(message, works, { delivery });
      await other.rollback();
    },
  },
  {
    what: 'it waits for a connection in vain',
    putOff: (_, consumer, message, delivery) =>
      consumer.receive(message, works, {
        delivery,
        unit: () => ({ run: () => Promise.reject(new NoConnectionError(message.type, 20)) }),
      }),
  },
  {
    what: 'its process loses it for a moment',
    putOff: (_, consumer, message, delivery) =>
      consumer.receive(message, works, { delivery, signal: AbortSignal.abort() }),
  },
];

/** A process knows the deaths before an attempt also when its own attempts end without the handler. */
export const owedDeathCases: readonly ContractCase<InboxDeliveryFixture>[] = [
  ...PUT_OFF.map(({ what, putOff }): ContractCase<InboxDeliveryFixture> => ({
    name: `a message that kills its process is a dead letter in the end, also if ${what} before each of its deaths`,
    guards:
      'An attempt that never reached the handler takes the deaths before it back, or hides the one after it.',
    async run(fixture) {
      const { group } = new Consumer(fixture, fixture.store);
      const message = freshEvent();
      const process = () => new Consumer(fixture, fixture.store, { group, waitMs: 20 });
      await killed(process(), message, 1);
      for (let delivery = 2; delivery <= 9; delivery += 2) {
        const dying = process();
        await putOff(fixture, dying, message, delivery);
        assert.deepEqual(dying.outcomes, ['retry']);
        await killed(dying, message, delivery + 1);
      }
      const last = process();
      assert.deepEqual(await last.receive(message, works, { delivery: 10 }), { kind: 'done' });
      assert.deepEqual(last.outcomes, ['buried']);
      assert.deepEqual(await last.effects(message), []);
      const [letter] = await fixture.store.inbox.listDeadLetters({ group });
      assert.equal(letter?.reason, 'crashed');
    },
  })),
  {
    name: 'a message that its process loses before it dies of it is a dead letter in the end',
    guards:
      'A process that runs out of memory loses its messages first, and no death is ever counted.',
    async run(fixture) {
      const { group } = new Consumer(fixture, fixture.store);
      const message = freshEvent();
      const process = () => new Consumer(fixture, fixture.store, { group });
      for (let delivery = 1; delivery <= 5; delivery += 1) {
        const lost = new AbortController();
        await killed(process(), message, delivery, false, lost.signal);
        lost.abort();
        // Long enough for whatever is noted now.
        for (let i = 0; i < 20; i += 1) await fixture.store.inbox.countDeadLetters();
      }
      const last = process();
      assert.deepEqual(await last.receive(message, works, { delivery: 6 }), { kind: 'done' });
      assert.deepEqual(last.outcomes, ['buried']);
      assert.deepEqual(await last.effects(message), []);
    },
  },
  {
    name: 'a handler that ends after its process has lost the message has killed nobody',
    guards: 'Lapsed leases would make a dead letter of a message that works.',
    async run(fixture) {
      const { group } = new Consumer(fixture, fixture.store);
      const message = freshEvent();
      const key = inboxKeyOf(group, message);
      const { inbox } = fixture.store;
      await killed(new Consumer(fixture, fixture.store, { group }), message, 1, true);
      const lost = new AbortController();
      const consumer = new Consumer(fixture, fixture.store, { group });
      const outcome = await consumer.receive(
        message,
        async () => {
          lost.abort();
          assert.deepEqual(await inbox.readAttempts(key), noted({ starts: 1, crashes: 1 }));
          throw new Error('stopped');
        },
        { afterDeath: true, signal: lost.signal },
      );
      assert.equal(outcome.kind, 'retry');
      assert.deepEqual(await inbox.readAttempts(key), noted({}));
    },
  },
  {
    name: 'a death elsewhere is known to a process that has put the message off before',
    guards: 'A process that lost the message for a while handles it as if nothing had happened.',
    async run(fixture) {
      const here = new Consumer(fixture, fixture.store);
      const { group } = here;
      const message = freshEvent();
      const key = inboxKeyOf(group, message);
      const { inbox } = fixture.store;
      await here.receive(message, () => Promise.reject(new Error('no')));
      await killed(new Consumer(fixture, fixture.store, { group }), message, 2, true);
      assert.deepEqual(await inbox.readAttempts(key), noted({ failures: 1, starts: 1 }));
      await killed(here, message, 2, true);
      assert.deepEqual(
        await inbox.readAttempts(key),
        noted({ failures: 1, starts: 1, crashes: 1 }),
      );
    },
  },
  {
    name: 'a death elsewhere is known where the broker counts deliveries and says nothing else',
    guards: 'A process that lost the message for a while handles it as if nothing had happened.',
    async run(fixture) {
      const here = new Consumer(fixture, fixture.store);
      const { group } = here;
      const message = freshEvent();
      const key = inboxKeyOf(group, message);
      await here.receive(message, () => Promise.reject(new Error('no')));
      await killed(new Consumer(fixture, fixture.store, { group }), message, 2);
      await killed(here, message, 3);
      const { starts, crashes } = await fixture.store.inbox.readAttempts(key);
      // Its death in the other process cannot have been noted, but makes it a suspect here.
      assert.deepEqual({ starts, crashes }, { starts: 1, crashes: 0 });
    },
  },
];
