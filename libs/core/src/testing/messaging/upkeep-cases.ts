import assert from 'node:assert/strict';
import { setTimeout as pause } from 'node:timers/promises';
import type { Broker, GroupLag } from '../../ports/index.js';
import { freshName, type ContractCase } from '../contract-case.js';
import { Listener, messageOf, publish, type BrokerFixture } from './broker-fixture.js';

/** A broker whose upkeep is tried. */
export interface BrokerUpkeepFixture extends BrokerFixture {
  /** A topic that this broker can never make ready. Default: one with a name of 3,000 characters. */
  readonly unusableTopic?: string;
}

const LOOK_MS = 10;
const LONG_MS = 3_600_000;

/** Topics, lag and health. */
export const upkeepCases: readonly ContractCase<BrokerUpkeepFixture>[] = [
  {
    name: 'makes topics ready as often as it is asked, also by several processes at once',
    guards: 'Every process asks at its start, and all processes of a service start together.',
    async run(fixture) {
      const topics = [freshName('topic'), freshName('topic')];
      const other = await fixture.newBroker();
      const answers = await Promise.all(
        [fixture.broker, other, fixture.broker, other].map((broker) => broker.ensure(topics)),
      );
      assert.deepEqual(answers, [[], [], [], []]);
      const [topic = ''] = topics;
      const listener = await new Listener(fixture).subscribe(fixture.broker, topic);
      await publish(fixture.broker, [messageOf(topic, 'k', 1)]);
      assert.deepEqual(await other.ensure(topics), []);
      await listener.got(1);
      await listener.close();
    },
  },
  {
    name: 'changes nothing about a topic that is there already',
    guards: 'Hole: a topic that is made anew has lost its messages and its groups.',
    async run(fixture) {
      const topic = freshName('topic');
      const group = freshName('group');
      await fixture.broker.ensure([topic]);
      const first = await new Listener(fixture).subscribe(fixture.broker, topic, { group });
      await first.close();
      await publish(fixture.broker, [messageOf(topic, 'k', 1)]);
      const other = await fixture.newBroker();
      assert.deepEqual(await other.ensure([topic]), []);
      await publish(other, [messageOf(topic, 'k', 2)]);
      const second = await new Listener(fixture).subscribe(other, topic, { group });
      await second.got(2);
      assert.deepEqual(second.bodies(), ['k:1', 'k:2']);
      await second.close();
    },
  },
  {
    name: 'names the topic that it cannot make ready, and makes the others ready',
    guards: 'A bad topic holds back itself and nothing else.',
    async run({ broker, unusableTopic: bad = 't'.repeat(3_000), ...fixture }) {
      const [one, two] = [freshName('topic'), freshName('topic')];
      const problems = await broker.ensure([one, bad, two]);
      assert.deepEqual(
        problems.map(({ topic }) => topic),
        [bad],
      );
      assert.ok(problems[0]?.error instanceof Error, 'the reason is missing');
      const listener = await new Listener({ ...fixture, broker }).subscribe(broker, one, {
        topics: [one, two],
      });
      await publish(broker, [messageOf(one, 'k', 1), messageOf(two, 'k', 2)]);
      await listener.got(2);
      await listener.close();
    },
  },
  {
    name: 'tells for each group and topic how many messages wait',
    guards: 'Lag is what alerts are made of: that of one group or topic must not hide in another.',
    async run(fixture) {
      const { broker } = fixture;
      const [orders, stock] = [freshName('topic'), freshName('topic')];
      const [shop, audit] = [freshName('group'), freshName('group')];
      const joining = [
        await new Listener(fixture).subscribe(broker, orders, {
          group: shop,
          topics: [orders, stock],
        }),
        await new Listener(fixture).subscribe(broker, orders, { group: audit }),
      ];
      await Promise.all(joining.map((listener) => listener.close()));
      const among = [orders, stock];
      assert.deepEqual(
        counts(await broker.lag(), among),
        sorted([
          [audit, orders, 0],
          [shop, orders, 0],
          [shop, stock, 0],
        ]),
      );
      await publish(broker, [
        ...[1, 2, 3].map((n) => messageOf(orders, 'k', n)),
        messageOf(stock, 'k', 1),
      ]);
      const lags = await broker.lag();
      assert.deepEqual(
        counts(lags, among),
        sorted([
          [audit, orders, 3],
          [shop, orders, 3],
          [shop, stock, 1],
        ]),
      );
      for (const { oldestAgeMs } of lags) assert.ok(oldestAgeMs >= 0 && oldestAgeMs < LONG_MS);
      const serving = await new Listener(fixture).subscribe(broker, orders, { group: audit });
      await serving.got(3);
      await until(fixture, broker, among, [
        [audit, orders, 0],
        [shop, orders, 3],
        [shop, stock, 1],
      ]);
      const served = (await broker.lag()).find(({ group }) => group === audit);
      assert.equal(served?.oldestAgeMs, 0);
      await serving.close();
    },
  },
  {
    name: 'counts what waits for its retry, and what no group has joined for',
    guards: 'Nothing is lost in silence: what waits is counted, whatever it waits for.',
    async run(fixture) {
      const { broker } = fixture;
      const [topic, nobody] = [freshName('topic'), freshName('topic')];
      const group = freshName('group');
      const listener = await new Listener(fixture, () => ({
        kind: 'retry',
        delayMs: LONG_MS,
        error: new Error('later'),
      })).subscribe(broker, topic, { group });
      await publish(broker, [messageOf(topic, 'k', 1), messageOf(topic, 'k', 2)]);
      await listener.got(1);
      await until(fixture, broker, [topic], [[group, topic, 2]]);
      await broker.ensure([nobody]);
      const [outcome] = await broker.publish([messageOf(nobody, 'k', 1)]);
      if (outcome?.kind === 'acknowledged') {
        assert.deepEqual(counts(await broker.lag(), [nobody]), [[null, nobody, 1]]);
      }
      await listener.close(0);
    },
  },
  {
    name: 'says since when it is up, and since when it is down, and never rejects',
    guards: 'Only who knows since when can forgive a moment. A look that throws tells nothing.',
    async run(fixture) {
      const broker = await fixture.newBroker();
      const first = await broker.health();
      assert.equal(first.state, 'up');
      await pause(LOOK_MS);
      const second = await broker.health();
      assert.deepEqual([second.state, second.since], ['up', first.since]);
      assert.ok(second.forMs > first.forMs, 'the time in which it is up does not grow');
      await broker.close();
      const third = await broker.health();
      assert.ok(third.state === 'down' && third.error instanceof Error);
      assert.ok(third.since >= second.since, 'it is down since before it was up');
      await pause(LOOK_MS);
      const fourth = await broker.health();
      assert.deepEqual([fourth.state, fourth.since], ['down', third.since]);
      assert.ok(fourth.forMs > third.forMs, 'the time in which it is down does not grow');
    },
  },
  {
    name: 'rejects what it cannot ask about, rather than answer that there is nothing',
    guards:
      'No lag and an unknown lag are two things, and so are a ready topic and an unknown one.',
    async run(fixture) {
      const broker = await fixture.newBroker();
      await broker.close();
      await assert.rejects(broker.lag());
      await assert.rejects(broker.ensure([freshName('topic')]));
    },
  },
];

type Count = readonly [group: string | null, topic: string, messages: number];

/** What waits in some topics, in one order. */
function counts(lags: readonly GroupLag[], topics: readonly string[]): Count[] {
  return sorted(
    lags
      .filter(({ topic }) => topics.includes(topic))
      .map(({ group, topic, messages }): Count => [group, topic, messages]),
  );
}

function sorted(all: readonly Count[]): Count[] {
  const text = ([group, topic]: Count): string => `${String(group)} ${topic}`;
  return [...all].sort((a, b) => (text(a) < text(b) ? -1 : 1));
}

/** Waits until so much waits, because a broker may remove what was handled a little later. */
async function until(
  { patienceMs = 10_000 }: BrokerFixture,
  broker: Broker,
  topics: readonly string[],
  wanted: readonly Count[],
): Promise<void> {
  for (let waited = 0; ; waited += LOOK_MS) {
    const got = counts(await broker.lag(), topics);
    if (JSON.stringify(got) === JSON.stringify(sorted(wanted))) return;
    if (waited >= patienceMs) assert.deepEqual(got, sorted(wanted));
    await pause(LOOK_MS);
  }
}
