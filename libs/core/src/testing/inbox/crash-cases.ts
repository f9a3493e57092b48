import assert from 'node:assert/strict';
import { inboxKeyOf, SubscriptionClosedError } from '../../messaging/index.js';
import type { Message } from '../../ports/index.js';
import type { ContractCase } from '../contract-case.js';
import {
  Consumer,
  freshEvent,
  type HandlerCall,
  type InboxDeliveryFixture,
  type ReceiveOptions,
} from './consumer.js';

export const works = ({ effect }: HandlerCall): Promise<void> => effect();
export const dies = (): Promise<never> => new Promise(() => undefined);

/** Delivers a message to a process that dies of it; resolves when its pipeline was reached. */
export function killed(
  consumer: Consumer,
  message: Message,
  delivery: number,
  afterDeath = false,
  signal: AbortSignal = new AbortController().signal,
): Promise<void> {
  return new Promise((resolve) => {
    void consumer.receive(message, works, {
      delivery,
      afterDeath,
      signal,
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

/** How deaths of processes are counted, and against which message. */
export const crashCases: readonly ContractCase<InboxDeliveryFixture>[] = [
  {
    name: 'a message that kills its process while it is alone in it is a dead letter in the end',
    guards: 'Its transaction rolls back with the process: uncounted, it would kill for ever.',
    async run(fixture) {
      const { group } = new Consumer(fixture, fixture.store);
      const message = freshEvent();
      const process = () => new Consumer(fixture, fixture.store, { group });
      // Nothing is known of the first death, the second one makes the message a suspect, and three
      // were its own.
      for (const delivery of [1, 2, 3, 4, 5]) await killed(process(), message, delivery);
      const last = process();
      assert.deepEqual(await last.receive(message, works, { delivery: 6 }), { kind: 'done' });
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
      for (let death = 2; death <= 5; death += 1) await killed(process(), message, 1, true);
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
    name: 'only deaths in which a message was alone are held against it',
    guards: 'What merely was in flight when processes died is given up with what killed them.',
    async run(fixture) {
      const { group } = new Consumer(fixture, fixture.store);
      const [killer, innocent] = [freshEvent(), freshEvent()];
      const second = new Consumer(fixture, fixture.store, { group });
      await Promise.all([killed(second, killer, 1, true), killed(second, innocent, 1, true)]);
      const waiting: unknown[] = [];
      for (let death = 3; death <= 5; death += 1) {
        const process = new Consumer(fixture, fixture.store, { group });
        const dying = killed(process, killer, 1, true);
        // It waits for its turn, and the killer's never ends.
        waiting.push(process.receive(innocent, works, { afterDeath: true }));
        await dying;
      }
      const last = new Consumer(fixture, fixture.store, { group });
      await last.receive(killer, works, { afterDeath: true });
      assert.deepEqual(last.outcomes, ['buried']);
      await last.receive(innocent, works, { afterDeath: true });
      assert.deepEqual(await last.effects(killer), []);
      assert.deepEqual(await last.effects(innocent), ['done']);
      const [letter] = await fixture.store.inbox.listDeadLetters({ group });
      assert.equal(letter?.message.id, killer.id);
    },
  },
  {
    name: 'a suspect has nothing beside it, and what comes meanwhile waits',
    guards: 'A death beside others has several suspects, and none can be told from another.',
    async run(fixture) {
      const { group } = new Consumer(fixture, fixture.store);
      const [suspect, other] = [freshEvent(), freshEvent()];
      await killed(new Consumer(fixture, fixture.store, { group }), suspect, 1, true);
      const consumer = new Consumer(fixture, fixture.store, { group });
      const log: string[] = [];
      let release: () => void = () => undefined;
      const gate = new Promise<void>((resolve) => (release = resolve));
      let reached: () => void = () => undefined;
      const running = new Promise<void>((resolve) => (reached = resolve));
      const alone = consumer.receive(
        suspect,
        async () => {
          reached();
          await gate;
          log.push('suspect ended');
        },
        { afterDeath: true },
      );
      await running;
      const beside = consumer.receive(other, async () => void log.push('other began'));
      // Long enough for it to begin, if it could.
      for (let i = 0; i < 20; i += 1) await fixture.store.inbox.countDeadLetters();
      release();
      await Promise.all([alone, beside]);
      assert.deepEqual(log, ['suspect ended', 'other began']);
    },
  },
  {
    name: 'a message that its subscription gives back in good order has killed nobody',
    guards: 'Every deployment would be a death of what is at work then.',
    async run(fixture) {
      const { group } = new Consumer(fixture, fixture.store);
      const message = freshEvent();
      const key = inboxKeyOf(group, message);
      await killed(new Consumer(fixture, fixture.store, { group }), message, 1, true);
      const stopping = new AbortController();
      const consumer = new Consumer(fixture, fixture.store, { group });
      let reached: () => void = () => undefined;
      const running = new Promise<void>((resolve) => (reached = resolve));
      void consumer.receive(
        message,
        () => {
          reached();
          return dies();
        },
        { afterDeath: true, signal: stopping.signal },
      );
      await running;
      const { inbox } = fixture.store;
      assert.equal((await inbox.readAttempts(key)).crashes, 1);
      stopping.abort(new SubscriptionClosedError());
      for (let i = 0; i < 1_000; i += 1) {
        const { starts, crashes } = await inbox.readAttempts(key);
        // The death before stays: this attempt says nothing about it.
        if (crashes === 0) {
          assert.equal(starts, 1);
          return;
        }
      }
      assert.fail('It still counts as a death.');
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
      for (let delivery = 1; delivery <= 20; delivery += 1) {
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
    name: "how many such deaths are held against it is the handler's option",
    guards: 'An option that is accepted and ignored.',
    async run(fixture) {
      const { group } = new Consumer(fixture, fixture.store);
      const message = freshEvent();
      const process = () => new Consumer(fixture, fixture.store, { group, maxCrashes: 1 });
      for (const delivery of [1, 2, 3]) await killed(process(), message, delivery);
      const last = process();
      await last.receive(message, works, { delivery: 4 });
      assert.deepEqual(last.outcomes, ['buried']);
    },
  },
];
