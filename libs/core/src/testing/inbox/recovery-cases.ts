import assert from 'node:assert/strict';
import { systemClock } from '../../clock/index.js';
import { NonRetryableError } from '../../errors/index.js';
import { InboxReplayer, inboxKeyOf } from '../../messaging/index.js';
import type { Message } from '../../ports/index.js';
import type { ContractCase } from '../contract-case.js';
import {
  Consumer,
  freshCommand,
  freshEvent,
  type HandlerCall,
  type InboxDeliveryFixture,
} from './consumer.js';
import { killed } from './crash-cases.js';

const quiet = { debug() {}, info() {}, warn() {}, error() {} };
const works = ({ effect }: HandlerCall): Promise<void> => effect();

function replayerOf(
  consumer: Consumer,
  handle: (call: HandlerCall) => Promise<unknown>,
  leaseMs = 60_000,
): InboxReplayer {
  return new InboxReplayer({
    inbox: consumer.parts.inbox,
    clock: systemClock,
    logger: quiet,
    groups: [consumer.group],
    redeliver: (delivery) => consumer.deliver(delivery, handle),
    leaseMs,
  });
}

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
      await buried(new Consumer(fixture, fixture.store, { group }), message);
      await fixture.store.inbox.requestReplay([inboxKeyOf(group, message)]);
      for (let death = 1; death <= 5; death += 1) {
        const process = new Consumer(fixture, fixture.store, { group });
        const [letter] = await process.parts.inbox.takeReplays([group], 1, 0);
        assert.equal(letter?.replays, death);
        await killed(process, message, letter.replays);
      }
      const last = new Consumer(fixture, fixture.store, { group });
      const replayer = replayerOf(last, works);
      await replayer.runOnce();
      await replayer.close();
      assert.deepEqual(last.outcomes, ['buried']);
      const [letter] = await fixture.store.inbox.listDeadLetters({ group });
      assert.equal(letter?.reason, 'crashed');
      assert.equal(letter.replaying, false);
    },
  },
  {
    name: 'a replayed dead letter is handled once, and its letter is gone',
    guards: 'A replay that forgets to clear the mark is dropped as dead.',
    async run(fixture) {
      const consumer = new Consumer(fixture, fixture.store);
      const message = freshEvent();
      await buried(consumer, message);
      const replayer = replayerOf(consumer, works);
      assert.deepEqual(await replayer.replay([inboxKeyOf(consumer.group, message)]), ['done']);
      await replayer.runOnce();
      await replayer.close();
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
      await operator.inbox.requestReplay([inboxKeyOf(consumer.group, message)]);
      const replayer = replayerOf(consumer, works);
      assert.equal(await replayer.runOnce(), 1);
      assert.equal(await replayer.runOnce(), 0);
      await replayer.close();
      assert.deepEqual(await consumer.effects(message), ['done']);
    },
  },
  {
    name: 'a replay that is cut short by a crash is taken up by another process',
    guards: 'Between taking the letter out and handling the message a crash would lose it.',
    async run(fixture) {
      const consumer = new Consumer(fixture, fixture.store);
      const message = freshEvent();
      await buried(consumer, message);
      await consumer.parts.inbox.requestReplay([inboxKeyOf(consumer.group, message)]);
      const dead = new Consumer(fixture, fixture.store, { group: consumer.group });
      const begun = await dead.parts.inbox.takeReplays([dead.group], 10, 0);
      assert.equal(begun.length, 1);
      await killed(dead, message, 1);
      const other = new Consumer(fixture, await fixture.newStore(), { group: consumer.group });
      const replayer = replayerOf(other, works);
      await replayer.runOnce();
      await replayer.close();
      assert.deepEqual(await other.effects(message), ['done']);
      assert.deepEqual(await other.parts.inbox.listDeadLetters({ group: other.group }), []);
    },
  },
  {
    name: 'a replay whose handler hangs keeps its lease, and the replays of others go on',
    guards: 'A handler that hangs holds up every other replay of its process.',
    async run(fixture) {
      const consumer = new Consumer(fixture, fixture.store);
      const messages = Array.from({ length: 12 }, () => freshEvent());
      const [hanging, ...others] = messages;
      for (const message of messages) {
        await consumer.receive(message, () => Promise.reject(new NonRetryableError('not yet')));
      }
      let release: () => void = () => undefined;
      const gate = new Promise<void>((resolve) => (release = resolve));
      const replayer = new InboxReplayer({
        inbox: consumer.parts.inbox,
        clock: systemClock,
        logger: quiet,
        groups: [consumer.group],
        leaseMs: 600,
        pollMs: 20,
        redeliver: (delivery) =>
          consumer.deliver(delivery, async (call) => {
            if (delivery.message.id !== hanging?.id) return works(call);
            await gate;
            return works(call);
          }),
      });
      const key = (message: Message) => inboxKeyOf(consumer.group, message);
      const inbox = consumer.parts.inbox;
      const left = async () => (await inbox.listDeadLetters({ group: consumer.group })).length;
      await replayer.replay(messages.slice(0, 6).map(key));
      while ((await left()) > 7) await new Promise((resolve) => setTimeout(resolve, 5));
      // Asked for while the first one still hangs.
      await replayer.replay(messages.slice(6).map(key));
      while ((await left()) > 1) await new Promise((resolve) => setTimeout(resolve, 5));
      for (const message of others) assert.deepEqual(await consumer.effects(message), ['done']);
      // Its lease would have been over by now, several times.
      await new Promise((resolve) => setTimeout(resolve, 1_800));
      const [letter] = await inbox.listDeadLetters({ group: consumer.group });
      assert.equal(
        letter?.replays,
        1,
        'taken once, or the next attempt looks like one after a death',
      );
      release();
      await replayer.runOnce();
      await replayer.close();
      assert.equal(await left(), 0);
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
      const consumer = new Consumer(fixture, fixture.store, { attempts: 2 });
      const message = freshCommand();
      await buried(consumer, message);
      const key = inboxKeyOf(consumer.group, message);
      const replayer = replayerOf(consumer, () => Promise.reject(new Error('still not')));
      await replayer.replay([key]);
      await replayer.runOnce();
      const [waiting] = await consumer.parts.inbox.listDeadLetters({ group: consumer.group });
      assert.equal(waiting?.replaying, true);
      assert.deepEqual(await consumer.parts.inbox.takeReplays([consumer.group], 10, 0), []);
      await consumer.parts.inbox.postponeReplay(key, 0);
      await replayer.runOnce();
      await replayer.close();
      const [letter] = await consumer.parts.inbox.listDeadLetters({ group: consumer.group });
      assert.equal(letter?.replaying, false);
      assert.equal(letter.error, 'Error: still not');
      assert.deepEqual(consumer.outcomes, ['buried', 'retry', 'buried']);
      assert.equal((await consumer.replies(message)).length, 2, 'each death is answered');
    },
  },
];
