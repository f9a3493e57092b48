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
  type ReceiveOptions,
} from './consumer.js';

const quiet = { debug() {}, info() {}, warn() {}, error() {} };
const works = ({ effect }: HandlerCall): Promise<void> => effect();
const dies = (): Promise<never> => new Promise(() => undefined);

/** Delivers a message to a process that dies of it; resolves when its pipeline was reached. */
function killed(
  consumer: Consumer,
  message: Message,
  delivery: number,
  afterDeath = false,
): Promise<void> {
  return new Promise((resolve) => {
    void consumer.receive(message, works, {
      delivery,
      afterDeath,
      pipeline: () => {
        resolve();
        return dies();
      },
    });
  });
}

/** Delivers messages a second time to handlers that end only when all of them have begun. */
async function togetherAtTheGate(
  consumer: Consumer,
  messages: readonly Message[],
  options: ReceiveOptions = { delivery: 2 },
) {
  let begun = 0;
  let open: () => void = () => undefined;
  const gate = new Promise<void>((resolve) => (open = resolve));
  const handle = async (): Promise<void> => {
    begun += 1;
    if (begun === messages.length) open();
    await gate;
  };
  const outcomes = await Promise.all(
    messages.map((message) => consumer.receive(message, handle, options)),
  );
  return { outcomes, begun };
}

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

/** What survives the death of a process, and how dead letters come back. */
export const recoveryCases: readonly ContractCase<InboxDeliveryFixture>[] = [
  {
    name: 'a message that kills its process three times is a dead letter',
    guards: 'Its transaction rolls back with the process: uncounted, it would kill for ever.',
    async run(fixture) {
      const { group } = new Consumer(fixture, fixture.store);
      const message = freshEvent();
      const process = () => new Consumer(fixture, fixture.store, { group });
      for (const delivery of [1, 2, 3]) await killed(process(), message, delivery);
      const last = process();
      assert.deepEqual(await last.receive(message, works, { delivery: 4 }), { kind: 'done' });
      assert.deepEqual(last.outcomes, ['buried']);
      assert.deepEqual(await last.effects(message), []);
      const [letter] = await fixture.store.inbox.listDeadLetters({ group });
      assert.equal(letter?.reason, 'crashed');
    },
  },
  {
    name: 'it is so too where the broker counts no delivery and only knows that a process died',
    guards: 'A broker that writes nothing down when it delivers lets it kill without an end.',
    async run(fixture) {
      const { group } = new Consumer(fixture, fixture.store);
      const message = freshEvent();
      const process = () => new Consumer(fixture, fixture.store, { group });
      await killed(process(), message, 1);
      await killed(process(), message, 1, true);
      await killed(process(), message, 1, true);
      const last = process();
      const outcome = await last.receive(message, works, { afterDeath: true });
      assert.deepEqual(outcome, { kind: 'done' });
      assert.deepEqual(last.outcomes, ['buried']);
      assert.deepEqual(await last.effects(message), []);
    },
  },
  {
    name: 'what lay in the queue of a dead process is handled at once, however much it is',
    guards: 'One killed process, and the whole backlog runs one message at a time.',
    async run(fixture) {
      const consumer = new Consumer(fixture, fixture.store);
      const messages = [freshEvent(), freshEvent()];
      const { outcomes, begun } = await togetherAtTheGate(consumer, messages, { afterDeath: true });
      assert.deepEqual(outcomes, [{ kind: 'done' }, { kind: 'done' }]);
      assert.equal(begun, 2);
    },
  },
  {
    name: 'what was in flight beside a killer when two processes died is not buried with it',
    guards: 'Handled beside the killer for the third time, it would be buried with it.',
    async run(fixture) {
      const { group } = new Consumer(fixture, fixture.store);
      const [killer, innocent] = [freshEvent(), freshEvent()];
      const second = new Consumer(fixture, fixture.store, { group });
      await Promise.all([killed(second, killer, 1, true), killed(second, innocent, 1, true)]);
      const third = new Consumer(fixture, fixture.store, { group });
      // Whichever comes second waits for the first, and the killer's turn never ends.
      const handled = third.receive(innocent, works, { afterDeath: true });
      await killed(third, killer, 1, true);
      const fourth = new Consumer(fixture, fixture.store, { group });
      await fourth.receive(killer, works, { delivery: 2, afterDeath: true });
      await fourth.receive(innocent, works, { afterDeath: true });
      assert.deepEqual(await fourth.effects(killer), []);
      assert.deepEqual(await fourth.effects(innocent), ['done']);
      void handled;
    },
  },
  {
    name: 'messages that were in flight beside a killer are handled and not buried with it',
    guards: 'Counted together, every message in flight dies with the one that kills.',
    async run(fixture) {
      const { group } = new Consumer(fixture, fixture.store);
      const killer = freshEvent();
      const innocents = Array.from({ length: 5 }, () => freshEvent());
      const handled = new Set<string>();
      let killerBuried = false;
      for (let delivery = 1; delivery <= 8; delivery += 1) {
        const process = new Consumer(fixture, fixture.store, { group });
        let died: () => void = () => undefined;
        const death = new Promise<void>((resolve) => (died = resolve));
        const inFlight = new Set<Message>();
        const all = [...innocents.slice(0, 2), killer, ...innocents.slice(2)]
          .filter(({ id }) => !handled.has(id))
          .map(async (message) => {
            const outcome = await process.receive(message, works, {
              delivery,
              pipeline: async (_, call) => {
                inFlight.add(message);
                // Long enough for whatever else may begin now to be in flight as well.
                for (let i = 0; i < 5; i += 1) await fixture.store.inbox.countDeadLetters();
                if (!inFlight.has(killer)) {
                  await call();
                  inFlight.delete(message);
                  return;
                }
                if (message === killer) died();
                await dies();
              },
            });
            if (outcome.kind === 'done') handled.add(message.id);
          });
        await Promise.race([death, Promise.all(all)]);
        killerBuried = process.outcomes.includes('buried');
        if (killerBuried) {
          await Promise.all(all);
          break;
        }
      }
      assert.equal(killerBuried, true);
      const consumer = new Consumer(fixture, fixture.store, { group });
      for (const message of innocents) {
        assert.deepEqual(await consumer.effects(message), ['done']);
      }
      const letters = await fixture.store.inbox.listDeadLetters({ group });
      assert.deepEqual(
        letters.map(({ message }) => message.id),
        [killer.id],
      );
    },
  },
  {
    name: 'messages this process has put off itself are no suspects when they come back',
    guards: 'Retries would run one at a time, and each would cost a note of its start.',
    async run(fixture) {
      const consumer = new Consumer(fixture, fixture.store);
      const messages = [freshEvent(), freshEvent()];
      for (const message of messages) {
        await consumer.receive(message, () => Promise.reject(new Error('no')));
      }
      const { outcomes } = await togetherAtTheGate(consumer, messages);
      assert.deepEqual(outcomes, [{ kind: 'done' }, { kind: 'done' }]);
    },
  },
  {
    name: 'messages that merely failed are no suspects in the next process',
    guards:
      'After an outage of what handlers call, a restart would run the whole backlog one by one.',
    async run(fixture) {
      const before = new Consumer(fixture, fixture.store);
      const messages = [freshEvent(), freshEvent()];
      for (const message of messages) {
        await before.receive(message, () => Promise.reject(new Error('no')));
      }
      const after = new Consumer(fixture, await fixture.newStore(), { group: before.group });
      const { outcomes, begun } = await togetherAtTheGate(after, messages);
      assert.deepEqual(outcomes, [{ kind: 'done' }, { kind: 'done' }]);
      assert.equal(begun, 2);
    },
  },
  {
    name: 'a replay that kills its process is a dead letter again',
    guards: 'An operator replays a poisonous message: it would kill every process of the group.',
    async run(fixture) {
      const { group } = new Consumer(fixture, fixture.store);
      const message = freshEvent();
      await buried(new Consumer(fixture, fixture.store, { group }), message);
      await fixture.store.inbox.requestReplay([inboxKeyOf(group, message)]);
      for (let death = 1; death <= 3; death += 1) {
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
      assert.equal(await replayer.replay([inboxKeyOf(consumer.group, message)]), 1);
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
