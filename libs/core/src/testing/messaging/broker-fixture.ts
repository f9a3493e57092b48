import type {
  Broker,
  Delivery,
  DeliveryOutcome,
  Message,
  SubscribeRequest,
  Subscription,
} from '../../ports/index.js';
import { freshName } from '../contract-case.js';
import { outboxMessage } from './outbox-message.js';

/** A broker; each case makes its own topics and groups. */
export interface BrokerFixture {
  readonly broker: Broker;
  /** The broker as another process has it: what it holds is the same. */
  readonly newBroker: () => Promise<Broker>;
  /**
   * Makes of a message one that this broker refuses, where there is such a thing: too large, a name
   * it cannot store, a queue that is full. Without it the mid-batch failure cannot be shown.
   */
  readonly poison?: (message: Message) => Message;
  /** How long a case may wait for a delivery. Default 10,000 ms. */
  readonly patienceMs?: number;
}

/** A message of a topic; its body is `<key>:<n>`. */
export function messageOf(
  topic: string,
  key: string,
  n: number | string,
  given: Partial<Message> = {},
): Message {
  const { ordered: _ordered, delayMs: _delayMs, ...message } = outboxMessage(key, n, { topic });
  return { ...message, ...given };
}

/** Publishes and fails unless every message was acknowledged. */
export async function publish(broker: Broker, messages: readonly Message[]): Promise<void> {
  const outcomes = await broker.publish(messages);
  const failed = outcomes.find((outcome) => outcome.kind !== 'acknowledged');
  if (failed !== undefined)
    throw new Error(`A message was not acknowledged: ${JSON.stringify(failed)}`);
  if (outcomes.length !== messages.length) throw new Error('There is not one outcome per message.');
}

/** Handles deliveries and remembers them. */
export class Listener {
  readonly deliveries: Delivery[] = [];
  readonly #patienceMs: number;
  readonly #decide: (delivery: Delivery) => DeliveryOutcome | Promise<DeliveryOutcome>;
  #waiters: { readonly ready: () => boolean; readonly resolve: () => void }[] = [];
  #subscription: Subscription | undefined;

  constructor(
    fixture: BrokerFixture,
    decide: (delivery: Delivery) => DeliveryOutcome | Promise<DeliveryOutcome> = () => ({
      kind: 'done',
    }),
  ) {
    this.#patienceMs = fixture.patienceMs ?? 10_000;
    this.#decide = decide;
  }

  async subscribe(
    broker: Broker,
    topic: string,
    given: Partial<SubscribeRequest> = {},
  ): Promise<this> {
    await broker.ensure(given.topics ?? [topic]);
    this.#subscription = await broker.subscribe({
      group: freshName('group'),
      topics: [topic],
      concurrency: 4,
      handle: async (delivery) => {
        this.deliveries.push(delivery);
        this.#check();
        return this.#decide(delivery);
      },
      ...given,
    });
    return this;
  }

  get problem(): string | null {
    return this.#subscription?.problem() ?? null;
  }

  bodies(key?: string): string[] {
    return this.deliveries
      .filter((delivery) => key === undefined || delivery.message.key === key)
      .map((delivery) => new TextDecoder().decode(delivery.message.payload));
  }

  /** Waits until so many deliveries have come. */
  async got(count: number): Promise<this> {
    await this.when(() => this.deliveries.length >= count, `${count} deliveries`);
    return this;
  }

  async when(ready: () => boolean, what: string): Promise<void> {
    if (ready()) return;
    let timer: NodeJS.Timeout | undefined;
    try {
      await Promise.race([
        new Promise<void>((resolve) => this.#waiters.push({ ready, resolve })),
        new Promise<never>((_, reject) => {
          timer = setTimeout(() => {
            reject(
              new Error(
                `Waited ${this.#patienceMs} ms for ${what}; came: ${this.bodies().join(', ')}`,
              ),
            );
          }, this.#patienceMs);
        }),
      ]);
    } finally {
      clearTimeout(timer);
    }
  }

  close(withinMs = 5_000): Promise<void> {
    return this.#subscription?.close(withinMs) ?? Promise.resolve();
  }

  #check(): void {
    for (const waiter of this.#waiters) if (waiter.ready()) waiter.resolve();
  }
}
