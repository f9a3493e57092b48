import assert from 'node:assert/strict';
import { freshName, type ContractCase } from '../contract-case.js';
import { Listener, messageOf, publish, type BrokerFixture } from './broker-fixture.js';
import { deferred } from './slot-queue-fixture.js';

/** Publishing, order and fan-out. */
export const brokerCases: readonly ContractCase<BrokerFixture>[] = [
  {
    name: 'delivers what was published, byte for byte, once it was acknowledged',
    guards: 'What the consumer reads is what the producer wrote; acknowledged means kept.',
    async run(fixture) {
      const topic = freshName('topic');
      const listener = await new Listener(fixture).subscribe(fixture.broker, topic);
      const strange = `it's "q" \\ $1 – ü 漢 🦉`;
      const message = messageOf(topic, strange, 1, {
        tenant: 'acme',
        type: 'orders.placed.v2',
        source: 'order-service',
        contentType: 'application/octet-stream',
        payload: Uint8Array.from({ length: 256 }, (_, byte) => byte),
        headers: { traceparent: '00-a-b-01', note: strange },
      });
      await publish(fixture.broker, [message]);
      await listener.got(1);
      const [delivery] = listener.deliveries;
      assert.ok(delivery);
      const got = delivery.message;
      assert.deepEqual(
        { ...got, payload: [...got.payload], headers: { ...got.headers } },
        { ...message, payload: [...message.payload], headers: { ...message.headers } },
      );
      assert.equal(delivery.attempt, 1);
      assert.equal(delivery.signal.aborted, false);
      assert.equal(listener.problem, null);
      await listener.close();
    },
  },
  {
    name: 'answers an empty batch and a large one, message by message',
    guards: 'One outcome for each message, in order.',
    async run(fixture) {
      const topic = freshName('topic');
      const listener = await new Listener(fixture).subscribe(fixture.broker, topic);
      assert.deepEqual(await fixture.broker.publish([]), []);
      const many = Array.from({ length: 300 }, (_, n) => messageOf(topic, `k${n % 7}`, n));
      await publish(fixture.broker, many);
      await listener.got(300);
      for (let k = 0; k < 7; k += 1) {
        const wanted = many.filter((message) => message.key === `k${k}`);
        assert.deepEqual(
          listener.bodies(`k${k}`),
          wanted.map((message) => new TextDecoder().decode(message.payload)),
        );
      }
      await listener.close();
    },
  },
  {
    name: 'refuses a message whose key no index could hold, and takes the others',
    guards: 'A message that could not be set aside when it fails would be tried for ever.',
    async run({ broker }) {
      const topic = freshName('topic');
      await broker.ensure([topic]);
      const batch = ['a', 'k'.repeat(2_001), 'b'].map((key) => messageOf(topic, key, 1));
      const outcomes = await broker.publish(batch);
      assert.deepEqual(
        outcomes.map(({ kind }) => kind),
        ['acknowledged', 'rejected', 'acknowledged'],
      );
    },
  },
  {
    name: 'acknowledges of a key only what comes before the message it refuses',
    guards:
      'Hole: a batch of which 5 is refused and 6 is taken delivers 6 before 5, with no crash at all.',
    async run(fixture) {
      if (fixture.poison === undefined || !fixture.broker.orderedBatches) return;
      const topic = freshName('topic');
      const listener = await new Listener(fixture).subscribe(fixture.broker, topic);
      const outcomes = await fixture.broker.publish([
        messageOf(topic, 'k', 1),
        fixture.poison(messageOf(topic, 'k', 2)),
        messageOf(topic, 'k', 3),
        messageOf(topic, 'other', 1),
      ]);
      const kinds = outcomes.map((outcome) => outcome.kind);
      assert.equal(kinds.length, 4);
      assert.notEqual(kinds[1], 'acknowledged');
      assert.notEqual(kinds[2], 'acknowledged', 'what follows the refused message was taken');
      // Messages that were not taken are sent again, as a relay does.
      const again = [messageOf(topic, 'k', 2), messageOf(topic, 'k', 3)];
      if (kinds[0] !== 'acknowledged') again.unshift(messageOf(topic, 'k', 1));
      await publish(fixture.broker, again);
      await listener.when(() => listener.bodies('k').includes('k:3'), 'the last of the key');
      assert.deepEqual([...new Set(listener.bodies('k'))], ['k:1', 'k:2', 'k:3']);
      await listener.close();
    },
  },
  {
    name: 'hands out the messages of a key one after the other, whoever published them',
    guards: 'Order per key, with no overlap: the next begins when the one before is handled.',
    async run(fixture) {
      const topic = freshName('topic');
      let running = 0;
      let most = 0;
      const listener = await new Listener(fixture, async () => {
        running += 1;
        most = Math.max(most, running);
        await new Promise((resolve) => setTimeout(resolve, 2));
        running -= 1;
        return { kind: 'done' };
      }).subscribe(fixture.broker, topic);
      const other = await fixture.newBroker();
      for (let n = 0; n < 10; n += 1) {
        await publish(n % 2 === 0 ? fixture.broker : other, [messageOf(topic, 'k', n)]);
      }
      await listener.got(10);
      assert.deepEqual(
        listener.bodies(),
        Array.from({ length: 10 }, (_, n) => `k:${n}`),
      );
      assert.equal(most, 1);
      await listener.close();
    },
  },
  {
    name: 'handles different keys at once, and no more than it may',
    guards: 'A slow message holds back its key only; back-pressure holds back the rest.',
    async run(fixture) {
      const topic = freshName('topic');
      const gate = deferred();
      let running = 0;
      let most = 0;
      const listener = await new Listener(fixture, async () => {
        running += 1;
        most = Math.max(most, running);
        await gate.promise;
        running -= 1;
        return { kind: 'done' };
      }).subscribe(fixture.broker, topic, { concurrency: 3 });
      await publish(
        fixture.broker,
        Array.from({ length: 12 }, (_, n) => messageOf(topic, `k${n}`, n)),
      );
      await listener.got(3);
      assert.equal(running, 3);
      gate.resolve();
      await listener.got(12);
      assert.equal(most, 3);
      await listener.close();
    },
  },
  {
    name: 'gives a message of a topic without a group to the first group that comes',
    guards:
      'First start: the sender is up before the receiver has ever subscribed. Acknowledged and ' +
      'gone would leave a saga waiting for ever.',
    async run(fixture) {
      const topic = freshName('topic');
      await fixture.broker.ensure([topic]);
      const outcomes = await fixture.broker.publish([
        messageOf(topic, 'k', 1),
        messageOf(topic, 'k', 2),
      ]);
      if (outcomes.every((outcome) => outcome.kind !== 'acknowledged')) return;
      const listener = await new Listener(fixture).subscribe(await fixture.newBroker(), topic);
      await publish(fixture.broker, [messageOf(topic, 'k', 3)]);
      await listener.got(3);
      assert.deepEqual(listener.bodies(), ['k:1', 'k:2', 'k:3']);
      await listener.close();
    },
  },
  {
    name: 'gives every group its own copy, and the consumers of one group one between them',
    guards: 'Two services hear of one event; two processes of a service handle it once.',
    async run(fixture) {
      const topic = freshName('topic');
      const [one, two] = [freshName('group'), freshName('group')];
      const a = await new Listener(fixture).subscribe(fixture.broker, topic, { group: one });
      const twin = await new Listener(fixture).subscribe(await fixture.newBroker(), topic, {
        group: one,
      });
      const b = await new Listener(fixture).subscribe(fixture.broker, topic, { group: two });
      const messages = Array.from({ length: 20 }, (_, n) => messageOf(topic, `k${n}`, n));
      await publish(fixture.broker, messages);
      await b.got(20);
      const both = (): number => a.deliveries.length + twin.deliveries.length;
      await Promise.race([
        a.when(() => both() >= 20, '20 between the two'),
        twin.when(() => both() >= 20, '20 between the two'),
      ]);
      const handled = [...a.deliveries, ...twin.deliveries].map((delivery) => delivery.message.id);
      assert.deepEqual([...new Set(handled)].length, 20);
      assert.equal(handled.length, 20);
      await Promise.all([a.close(), b.close(), twin.close()]);
    },
  },
  {
    name: 'loses nothing to a group that registers while messages are being published',
    guards: 'Hole: a fan-out that does not see the group acknowledges what the group never gets.',
    async run(fixture) {
      const topic = freshName('topic');
      const first = await new Listener(fixture).subscribe(fixture.broker, topic);
      const other = await fixture.newBroker();
      const publishing = (async () => {
        for (let n = 0; n < 30; n += 1) await publish(other, [messageOf(topic, 'k', n)]);
      })();
      const second = await new Listener(fixture).subscribe(fixture.broker, topic);
      await publish(fixture.broker, [messageOf(topic, 'last', 0)]);
      await publishing;
      await first.got(31);
      await second.when(() => second.bodies('last').length === 1, 'the last one');
      // The messages that it got of the stream are the last ones, without a gap.
      await second.when(
        () => second.bodies('k').length === 0 || second.bodies('k').includes('k:29'),
        'the end of the stream',
      );
      const got = second.bodies('k');
      const all = Array.from({ length: 30 }, (_, n) => `k:${n}`);
      assert.deepEqual(got, got.length === 0 ? [] : all.slice(-got.length));
      await Promise.all([first.close(), second.close()]);
    },
  },
];
