import assert from 'node:assert/strict';
import { Gate } from '../gates.js';
import { NonRetryableError } from '../../errors/index.js';
import { inboxKeyOf } from '../../messaging/index.js';
import type { Message } from '../../ports/index.js';
import type { ContractCase } from '../contract-case.js';
import {
  Consumer,
  freshCommand,
  freshEvent,
  type HandlerCall,
  type InboxDeliveryFixture,
} from './consumer.js';
import { dies } from './crash-cases.js';
import { landedRow, takeOver, workerOf, type Keyed } from './landing-fixture.js';
import { nothingWaits, replayAll, whileWorking, workOff, workerFor } from './landed-work.js';

const works = ({ effect }: HandlerCall): Promise<void> => effect();

async function buried(consumer: Consumer, message: Message): Promise<void> {
  await consumer.receive(message, () => Promise.reject(new NonRetryableError('not yet')));
  assert.deepEqual(consumer.outcomes, ['buried']);
}

/** How dead letters come back. */
export const recoveryCases: readonly ContractCase<InboxDeliveryFixture>[] = [
  {
    name: 'a replay that kills its process is a dead letter again',
    guards: 'An operator replays a poisonous message: it would kill every process of the group.',
    async run(fixture) {
      const { group } = new Consumer(fixture, fixture.store);
      const message = freshEvent();
      const key = inboxKeyOf(group, message);
      const keyed: Keyed = { key, message, line: undefined };
      await buried(new Consumer(fixture, fixture.store, { group }), message);
      await fixture.store.inbox.replayDeadLetters([key]);
      let slots = await workerOf(fixture.store, group);
      for (let death = 1; death <= 5; death += 1) {
        const process = new Consumer(fixture, fixture.store, { group });
        const landed = await landedRow(slots, keyed);
        await new Promise<void>((resolve) => {
          const { signal } = new AbortController();
          const delivery = { message, group, attempt: 1, afterDeath: death > 1, landed, signal };
          void process.deliver(delivery, works, {
            pipeline: () => {
              resolve();
              return dies();
            },
          });
        });
        slots = await takeOver(fixture.store, group, slots);
      }
      await slots.queue.leave(slots.incarnation);
      const last = new Consumer(fixture, fixture.store, { group });
      await workOff(last, works);
      assert.deepEqual(last.outcomes, ['buried']);
      const [letter] = await fixture.store.inbox.listDeadLetters({ group });
      assert.equal(letter?.reason, 'crashed');
    },
  },
  {
    name: 'a replayed dead letter is handled once, and its letter is gone',
    guards: 'A replay that forgets to clear the mark is dropped as dead.',
    async run(fixture) {
      const consumer = new Consumer(fixture, fixture.store);
      const message = freshEvent();
      await buried(consumer, message);
      await replayAll(consumer, works);
      assert.deepEqual(consumer.outcomes, ['buried', 'committed']);
      assert.deepEqual(await consumer.effects(message), ['done']);
      assert.deepEqual(await consumer.parts.inbox.listDeadLetters({ group: consumer.group }), []);
      await consumer.receive(message, works, { delivery: 2 });
      assert.deepEqual(await consumer.effects(message), ['done']);
    },
  },
  {
    name: 'a replay asked for by anybody is found by a process of the group',
    guards: 'An operator has a command line and no handlers.',
    async run(fixture) {
      const consumer = new Consumer(fixture, fixture.store);
      const message = freshEvent();
      await buried(consumer, message);
      const operator = await fixture.newStore();
      const worker = workerFor(consumer, works);
      await whileWorking(worker, async () => {
        await operator.inbox.replayDeadLetters([inboxKeyOf(consumer.group, message)]);
        return (await consumer.effects(message)).length > 0;
      });
      assert.deepEqual(await consumer.effects(message), ['done']);
      assert.equal(await nothingWaits(consumer), true);
    },
  },
  {
    name: 'a replay whose handler hangs does not hold up the replays of others',
    guards: 'A handler that hangs holds up every other replay of its process.',
    async run(fixture) {
      const consumer = new Consumer(fixture, fixture.store);
      const messages = Array.from({ length: 12 }, (_, i) => freshEvent({ key: `order-${i}` }));
      const [hanging, ...others] = messages;
      for (const message of messages) {
        await consumer.receive(message, () => Promise.reject(new NonRetryableError('not yet')));
      }
      const gate = new Gate();
      const worker = workerFor(consumer, async (call) => {
        if (call.attempt.message.id === hanging?.id) await gate.pass();
        return works(call);
      });
      const keys = messages.map((message) => inboxKeyOf(consumer.group, message));
      const { inbox } = consumer.parts;
      assert.deepEqual(new Set(await inbox.replayDeadLetters(keys)), new Set(['done']));
      await whileWorking(worker, async () => {
        if (consumer.events.length < 12 + others.length) return false;
        gate.open();
        return nothingWaits(consumer);
      });
      assert.deepEqual(
        consumer.outcomes.slice(12),
        Array.from({ length: 12 }, () => 'committed'),
      );
    },
  },
  {
    name: 'a replay that fails is put off, and a dead letter again when its attempts are used up',
    guards: 'A replay must neither vanish nor go on for ever.',
    async run(fixture) {
      const consumer = new Consumer(fixture, fixture.store, { attempts: 2, backoffMs: 20 });
      const message = freshCommand();
      await buried(consumer, message);
      await replayAll(consumer, () => Promise.reject(new Error('still not')));
      const [letter] = await consumer.parts.inbox.listDeadLetters({ group: consumer.group });
      assert.equal(letter?.error, 'Error: still not');
      assert.deepEqual(consumer.outcomes, ['buried', 'retry', 'buried']);
      assert.equal((await consumer.replies(message)).length, 2, 'each death is answered');
    },
  },
];
