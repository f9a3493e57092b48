import assert from 'node:assert/strict';
import { freshName, type ContractCase } from '../contract-case.js';
import { Listener, messageOf, publish, type BrokerFixture } from './broker-fixture.js';
import { textOf } from './outbox-message.js';
import { deferred } from './slot-queue-fixture.js';

/** Long against a round trip, short against a person. */
const SOON_MS = 300;

/** Retries, deaths and closing. */
export const redeliveryCases: readonly ContractCase<BrokerFixture>[] = [
  {
    name: 'delivers again what a handler asked to retry, later, counted, holding back its key only',
    guards: 'A failing message holds back its key, and nothing but its key.',
    async run(fixture) {
      const topic = freshName('topic');
      const listener = await new Listener(fixture, (delivery) =>
        textOf(delivery.message) === 'bad:1' && delivery.attempt === 1
          ? { kind: 'retry', delayMs: SOON_MS, error: new Error('not yet') }
          : { kind: 'done' },
      ).subscribe(fixture.broker, topic);
      await publish(fixture.broker, [
        messageOf(topic, 'bad', 1),
        messageOf(topic, 'bad', 2),
        messageOf(topic, 'good', 1),
        messageOf(topic, 'good', 2),
      ]);
      await listener.got(5);
      assert.deepEqual(listener.bodies('good'), ['good:1', 'good:2']);
      assert.deepEqual(listener.bodies('bad'), ['bad:1', 'bad:1', 'bad:2']);
      const texts = listener.bodies();
      if (fixture.broker.keepsRetries) {
        assert.ok(texts.indexOf('good:2') < texts.lastIndexOf('bad:1'));
      }
      const attempts = listener.deliveries
        .filter((delivery) => delivery.message.key === 'bad')
        .map((delivery) => delivery.attempt);
      assert.deepEqual(attempts, [1, 2, 1]);
      await listener.close();
    },
  },
  {
    name: 'delivers again what a handler threw on',
    guards: 'A message is acknowledged only when it was handled.',
    async run(fixture) {
      const topic = freshName('topic');
      const listener = await new Listener(fixture, async (delivery) => {
        if (delivery.attempt < 3) throw new Error('unexpected');
        return { kind: 'done' };
      }).subscribe(fixture.broker, topic);
      await publish(fixture.broker, [messageOf(topic, 'k', 1)]);
      await listener.got(3);
      assert.deepEqual(
        listener.deliveries.map((delivery) => delivery.attempt),
        [1, 2, 3],
      );
      await listener.close();
    },
  },
  {
    name: 'waits for what is being handled when it closes, and takes nothing more',
    guards: 'A graceful stop ends what it has begun.',
    async run(fixture) {
      const topic = freshName('topic');
      const group = freshName('group');
      const gate = deferred();
      let ended = 0;
      const listener = await new Listener(fixture, async () => {
        await gate.promise;
        ended += 1;
        return { kind: 'done' };
      }).subscribe(fixture.broker, topic, { group, concurrency: 2 });
      await publish(
        fixture.broker,
        [1, 2, 3, 4].map((n) => messageOf(topic, `k${n}`, n)),
      );
      await listener.got(2);
      const closing = listener.close(5_000);
      gate.resolve();
      await closing;
      assert.equal(ended, 2);
      assert.equal(listener.deliveries.length, 2);
      const next = await new Listener(fixture).subscribe(await fixture.newBroker(), topic, {
        group,
      });
      await next.got(2);
      const all = [...listener.deliveries, ...next.deliveries].map(({ message }) => message.id);
      assert.equal(new Set(all).size, 4);
      await next.close();
    },
  },
  {
    name: 'delivers to somebody else what was not handled when its consumer went away',
    guards: 'Redelivery: a handler that dies with its process has handled nothing.',
    async run(fixture) {
      const topic = freshName('topic');
      const group = freshName('group');
      const first = new Listener(fixture, () => new Promise(() => undefined));
      await first.subscribe(await fixture.newBroker(), topic, { group });
      await publish(fixture.broker, [messageOf(topic, 'k', 1), messageOf(topic, 'k', 2)]);
      await first.got(1);
      const signal = first.deliveries[0]?.signal;
      await first.close(50);
      assert.equal(signal?.aborted, true);
      const second = await new Listener(fixture).subscribe(fixture.broker, topic, { group });
      await second.got(2);
      assert.deepEqual(second.bodies(), ['k:1', 'k:2']);
      await second.close();
    },
  },
  {
    name: 'keeps for a group what comes while none of its consumers is there',
    guards: 'A service that is being deployed misses nothing.',
    async run(fixture) {
      const topic = freshName('topic');
      const group = freshName('group');
      const first = await new Listener(fixture).subscribe(fixture.broker, topic, { group });
      await first.close();
      await publish(fixture.broker, [messageOf(topic, 'k', 1), messageOf(topic, 'k', 2)]);
      const second = await new Listener(fixture).subscribe(fixture.broker, topic, { group });
      await second.got(2);
      assert.deepEqual(second.bodies(), ['k:1', 'k:2']);
      assert.equal(first.deliveries.length, 0);
      await second.close();
    },
  },
  {
    name: 'serves several topics with one subscription, in order within each key',
    guards: 'A service listens to several topics as one group.',
    async run(fixture) {
      const [one, two] = [freshName('topic'), freshName('topic')];
      const listener = await new Listener(fixture).subscribe(fixture.broker, one, {
        topics: [one, two],
      });
      await publish(fixture.broker, [
        messageOf(one, 'k', 1),
        messageOf(two, 'k', 2),
        messageOf(one, 'k', 3),
        messageOf(two, 'k', 4),
      ]);
      await listener.got(4);
      const of = (topic: string): string[] =>
        listener.deliveries
          .filter((delivery) => delivery.message.topic === topic)
          .map((delivery) => new TextDecoder().decode(delivery.message.payload));
      assert.deepEqual(of(one), ['k:1', 'k:3']);
      assert.deepEqual(of(two), ['k:2', 'k:4']);
      await listener.close();
    },
  },
  {
    name: 'takes nothing after its close',
    guards: 'A closed client must not swallow what is given to it.',
    async run(fixture) {
      const topic = freshName('topic');
      const broker = await fixture.newBroker();
      await broker.close();
      const [outcome] = await broker.publish([messageOf(topic, 'k', 1)]);
      assert.ok(outcome !== undefined && outcome.kind !== 'acknowledged');
    },
  },
];
