import { describe, expect, it } from 'vitest';
import { systemClock } from '../../clock/index.js';
import { MemoryBroker } from '../../memory/index.js';
import type {
  BrokerHealth,
  DeliveryExtension,
  GroupLag,
  SubscribeRequest,
  Subscription,
  TopicProblem,
} from '../../ports/index.js';
import { contractCase } from '../contract-case.js';
import {
  brokerUpkeepContract,
  deliveryExtensionContract,
  type BrokerFixture,
  type BrokerUpkeepFixture,
} from '../index.js';

/** The contract of upkeep is worth what it catches: brokers with one fault each. */

/** A topic can be made once. */
class EnsuresOnce extends MemoryBroker {
  readonly #made = new Set<string>();

  override async ensure(topics: readonly string[]): Promise<readonly TopicProblem[]> {
    const problems = topics
      .filter((topic) => this.#made.has(topic))
      .map((topic) => ({ topic, error: new Error('It exists.') }));
    for (const topic of topics) this.#made.add(topic);
    return problems;
  }
}

/** Makes a topic anew whenever it is asked: what was published before is gone. */
class EnsuresAnew extends MemoryBroker {
  readonly #forgotten = new Set<string>();

  override ensure(topics: readonly string[]): Promise<readonly TopicProblem[]> {
    for (const { id, topic } of this.published) if (topics.includes(topic)) this.#forgotten.add(id);
    return super.ensure(topics);
  }

  override subscribe(request: SubscribeRequest): Promise<Subscription> {
    return super.subscribe({
      ...request,
      handle: async (delivery) =>
        this.#forgotten.has(delivery.message.id) ? { kind: 'done' } : request.handle(delivery),
    });
  }
}

/** One bad topic, and it makes none ready. */
class EnsuresAllOrNothing extends MemoryBroker {
  override async ensure(topics: readonly string[]): Promise<readonly TopicProblem[]> {
    const [problem] = await super.ensure(topics);
    if (problem !== undefined) throw problem.error;
    return [];
  }
}

/** Every topic is said to be ready. */
class EnsuresNothing extends MemoryBroker {
  override async ensure(topics: readonly string[]): Promise<readonly TopicProblem[]> {
    await super.ensure(topics);
    return [];
  }
}

/** The lag of a topic is that of all its groups together. */
class LagIgnoresGroups extends MemoryBroker {
  override async lag(): Promise<readonly GroupLag[]> {
    const lags = await super.lag();
    return lags.map((lag) => ({
      ...lag,
      messages: lags
        .filter(({ topic }) => topic === lag.topic)
        .reduce((sum, { messages }) => sum + messages, 0),
    }));
  }
}

/** The lag of a group is told once, under one of its topics. */
class LagIgnoresTopics extends MemoryBroker {
  override async lag(): Promise<readonly GroupLag[]> {
    const lags = await super.lag();
    return lags.filter(({ group }, at) => at === lags.findIndex((other) => other.group === group));
  }
}

/** Topics without a group are in no lag. */
class LagIgnoresUnrouted extends MemoryBroker {
  override async lag(): Promise<readonly GroupLag[]> {
    return (await super.lag()).filter(({ group }) => group !== null);
  }
}

/** What it cannot ask about is nothing. */
class LagHidesFailures extends MemoryBroker {
  override async lag(): Promise<readonly GroupLag[]> {
    return super.lag().catch(() => []);
  }
}

/** Each look is the first one. */
class HealthSinceNow extends MemoryBroker {
  override async health(): Promise<BrokerHealth> {
    return { ...(await super.health()), since: new Date(), forMs: 0 };
  }
}

/** Throws what it should tell. */
class HealthRejects extends MemoryBroker {
  override async health(): Promise<BrokerHealth> {
    const health = await super.health();
    if (health.state === 'down') throw health.error;
    return health;
  }
}

/** Is always well, also once it is closed. */
class HealthIsAlwaysUp extends MemoryBroker {
  override async health(): Promise<BrokerHealth> {
    const { since, forMs } = await super.health();
    return { state: 'up', since, forMs };
  }
}

/** Has the extension of each delivery pass through `by`. */
abstract class Extends extends MemoryBroker {
  protected abstract by(extension: DeliveryExtension): DeliveryExtension;

  override subscribe(request: SubscribeRequest): Promise<Subscription> {
    return super.subscribe({
      ...request,
      handle: ({ extension, ...delivery }) =>
        request.handle(
          extension === undefined ? delivery : { ...delivery, extension: this.by(extension) },
        ),
    });
  }
}

/** Says that it extends, and sends nothing. */
class NeverExtends extends Extends {
  protected override by({ everyMs }: DeliveryExtension): DeliveryExtension {
    return { everyMs, extend: () => Promise.resolve() };
  }
}

/** Asks to be extended when it is too late. */
class ExtendsTooLate extends Extends {
  protected override by({ extend }: DeliveryExtension): DeliveryExtension {
    return { everyMs: 1_000, extend };
  }
}

/** Extends what it has given away. */
class ExtendsWhatIsLost extends Extends {
  protected override by({ everyMs, extend }: DeliveryExtension): DeliveryExtension {
    return { everyMs, extend: () => extend().catch(() => undefined) };
  }
}

type BrokerClass = new (options: ConstructorParameters<typeof MemoryBroker>[0]) => MemoryBroker;

function fixtureOf(brokerClass: BrokerClass): BrokerUpkeepFixture {
  const broker = new brokerClass({ clock: systemClock });
  return { broker, newBroker: () => Promise.resolve(broker), patienceMs: 500 };
}

function expiring(brokerClass: BrokerClass): BrokerFixture {
  const broker = new brokerClass({ clock: systemClock, redeliverAfterMs: 120 });
  return { broker, newBroker: () => Promise.resolve(broker), patienceMs: 3_000 };
}

const FAULTS: readonly (readonly [BrokerClass, string])[] = [
  [EnsuresOnce, 'makes topics ready as often as it is asked, also by several processes at once'],
  [EnsuresAnew, 'changes nothing about a topic that is there already'],
  [EnsuresAllOrNothing, 'names the topic that it cannot make ready, and makes the others ready'],
  [EnsuresNothing, 'names the topic that it cannot make ready, and makes the others ready'],
  [LagIgnoresGroups, 'tells for each group and topic how many messages wait'],
  [LagIgnoresTopics, 'tells for each group and topic how many messages wait'],
  [LagIgnoresUnrouted, 'counts what waits for its retry, and what no group has joined for'],
  [LagHidesFailures, 'rejects what it cannot ask about, rather than answer that there is nothing'],
  [HealthSinceNow, 'says since when it is up, and since when it is down, and never rejects'],
  [HealthRejects, 'says since when it is up, and since when it is down, and never rejects'],
  [HealthIsAlwaysUp, 'says since when it is up, and since when it is down, and never rejects'],
];

const EXTENSION_FAULTS: readonly (readonly [BrokerClass, string])[] = [
  [
    NeverExtends,
    'gives a message to nobody else while its delivery is extended, however long it takes',
  ],
  [
    ExtendsTooLate,
    'gives a message to nobody else while its delivery is extended, however long it takes',
  ],
  [
    ExtendsWhatIsLost,
    'gives a message to somebody else when its delivery neither ends nor is extended',
  ],
];

describe('the contract of upkeep catches a broker that', () => {
  for (const [faulty, name] of FAULTS) {
    it(`${faulty.name}: "${name}"`, async () => {
      const { run } = contractCase(brokerUpkeepContract, name);
      await expect(run(fixtureOf(faulty))).rejects.toThrow();
      await run({ ...fixtureOf(MemoryBroker), patienceMs: 10_000 });
    });
  }
});

describe('the contract of extended deliveries catches a broker that', () => {
  for (const [faulty, name] of EXTENSION_FAULTS) {
    it(`${faulty.name}: "${name}"`, async () => {
      const { run } = contractCase(deliveryExtensionContract, name);
      await expect(run(expiring(faulty))).rejects.toThrow();
      await run({ ...expiring(MemoryBroker), patienceMs: 10_000 });
    });
  }
});
