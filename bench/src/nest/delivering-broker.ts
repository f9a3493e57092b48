import type { Broker, BrokerDriver, DeliveryOutcome, Message, SubscribeRequest } from '@sagaz/core';

/** A broker without a server: it hands the bench's messages to the handlers that subscribed. */
export class DeliveringBroker {
  readonly driver: BrokerDriver = {
    kind: 'broker',
    name: 'bench',
    create: () => Promise.resolve(this.#broker),
  };
  readonly #broker: Broker = {
    name: 'bench',
    orderedBatches: true,
    keepsRetries: true,
    publish: (batch) => Promise.resolve(batch.map(() => ({ kind: 'acknowledged' }) as const)),
    subscribe: (request) => {
      this.#request = request;
      return Promise.resolve({ close: () => Promise.resolve(), problem: () => null });
    },
    ensure: () => Promise.resolve([]),
    health: () => Promise.resolve({ state: 'up', since: new Date(0), forMs: 0 }),
    lag: () => Promise.resolve([]),
    close: () => Promise.resolve(),
  };
  #request: SubscribeRequest | null = null;

  /** Delivers a message for the first time, as a broker does. */
  async deliver(message: Message, signal: AbortSignal): Promise<void> {
    const request = this.#request;
    if (request === null) throw new Error('No handler has subscribed.');
    const outcome: DeliveryOutcome = await request.handle({
      message,
      group: request.group,
      attempt: 1,
      signal,
    });
    if (outcome.kind !== 'done') throw new Error('A handler failed.', { cause: outcome.error });
  }

  /** Whether a handler has subscribed. */
  get subscribed(): boolean {
    return this.#request !== null;
  }
}
