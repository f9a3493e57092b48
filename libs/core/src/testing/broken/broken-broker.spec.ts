import { describe, expect, it } from 'vitest';
import { systemClock } from '../../clock/index.js';
import { MemoryBroker } from '../../memory/index.js';
import type { Message, PublishOutcome, SubscribeRequest, Subscription } from '../../ports/index.js';
import { contractCase } from '../contract-case.js';
import { brokerContract, type BrokerFixture } from '../index.js';

/** The contract is worth what it catches: brokers with one fault each. */

/** Judges each message of a batch by itself: what follows a refused one is taken. */
class TakesPastFailures extends MemoryBroker {
  override async publish(batch: readonly Message[]): Promise<readonly PublishOutcome[]> {
    const outcomes: PublishOutcome[] = [];
    for (const message of batch) outcomes.push(...(await super.publish([message])));
    return outcomes;
  }
}

/** Acknowledges what nobody is there for, and drops it. */
class SwallowsWithoutGroup extends MemoryBroker {
  readonly #known = new Set<string>();

  override subscribe(request: SubscribeRequest): Promise<Subscription> {
    for (const topic of request.topics) this.#known.add(topic);
    return super.subscribe(request);
  }

  override async publish(batch: readonly Message[]): Promise<readonly PublishOutcome[]> {
    await super.publish(batch.filter((message) => this.#known.has(message.topic)));
    return batch.map(() => ({ kind: 'acknowledged' }));
  }
}

/** Acknowledges a delivery before it is handled. */
class AcknowledgesFirst extends MemoryBroker {
  override subscribe(request: SubscribeRequest): Promise<Subscription> {
    return super.subscribe({
      ...request,
      handle: async (delivery) => {
        void request.handle(delivery).catch(() => undefined);
        return { kind: 'done' };
      },
    });
  }
}

/** Works on the next message of a key while the one before is still being handled. */
class IgnoresKeys extends MemoryBroker {
  #n = 0;

  override publish(batch: readonly Message[]): Promise<readonly PublishOutcome[]> {
    return super.publish(batch.map((message) => ({ ...message, key: `any-${this.#n++}` })));
  }

  override subscribe(request: SubscribeRequest): Promise<Subscription> {
    return super.subscribe({
      ...request,
      handle: (delivery) => {
        const [key = ''] = new TextDecoder().decode(delivery.message.payload).split(':');
        return request.handle({ ...delivery, message: { ...delivery.message, key } });
      },
    });
  }
}

/** One group, whatever it is called. */
class HasOneGroup extends MemoryBroker {
  override subscribe(request: SubscribeRequest): Promise<Subscription> {
    return super.subscribe({ ...request, group: request.topics.join() });
  }
}

/** Takes as much as there is. */
class KnowsNoBackPressure extends MemoryBroker {
  override subscribe(request: SubscribeRequest): Promise<Subscription> {
    return super.subscribe({ ...request, concurrency: 1_000 });
  }
}

/** Retries at once. */
class ForgetsAttempts extends MemoryBroker {
  override subscribe(request: SubscribeRequest): Promise<Subscription> {
    return super.subscribe({
      ...request,
      handle: (delivery) => request.handle({ ...delivery, attempt: 1 }),
    });
  }
}

type BrokerClass = new (options: ConstructorParameters<typeof MemoryBroker>[0]) => MemoryBroker;

function fixtureOf(brokerClass: BrokerClass): BrokerFixture {
  const broker = new brokerClass({ clock: systemClock });
  broker.failWith(({ type }) =>
    type === 'poison' ? { kind: 'rejected', error: new Error('poison') } : null,
  );
  return {
    broker,
    newBroker: () => Promise.resolve(broker),
    poison: (message) => ({ ...message, type: 'poison' }),
    patienceMs: 700,
  };
}

const FAULTS: readonly (readonly [BrokerClass, string])[] = [
  [TakesPastFailures, 'acknowledges of a key only what comes before the message it refuses'],
  [
    SwallowsWithoutGroup,
    'gives a message of a topic without a group to the first group that comes',
  ],
  [AcknowledgesFirst, 'delivers to somebody else what was not handled when its consumer went away'],
  [IgnoresKeys, 'hands out the messages of a key one after the other, whoever published them'],
  [HasOneGroup, 'gives every group its own copy, and the consumers of one group one between them'],
  [KnowsNoBackPressure, 'handles different keys at once, and no more than it may'],
  [
    ForgetsAttempts,
    'delivers again what a handler asked to retry, later, counted, holding back its key only',
  ],
];

describe('the contract of brokers catches a broker that', () => {
  for (const [faulty, name] of FAULTS) {
    it(`${faulty.name}: "${name}"`, async () => {
      const { run } = contractCase(brokerContract, name);
      await expect(run(fixtureOf(faulty))).rejects.toThrow();
      await run({ ...fixtureOf(MemoryBroker), patienceMs: 10_000 });
    });
  }
});
