import type {
  Broker,
  Clock,
  Message,
  PublishOutcome,
  SubscribeRequest,
  Subscription,
} from '../ports/index.js';
import { keyTooLong, Places, SubscriptionClosedError } from '../messaging/index.js';
import { MemoryBrokerGroup, type Consumer } from './memory-broker-group.js';

export interface MemoryBrokerOptions {
  readonly clock: Clock;
  /** The name of the broker. Default `memory`. */
  readonly name?: string;
  /** The value of {@link Broker.orderedBatches}. Default true. */
  readonly orderedBatches?: boolean;
}

/**
 * Decides the outcome of a message instead of the broker; null means that the broker takes the
 * message.
 */
export type PublishFault = (
  message: Message,
  at: number,
  batch: readonly Message[],
) => Exclude<PublishOutcome, { kind: 'acknowledged' }> | null;

/**
 * A broker in memory. Its messages live as long as this object, and several services of one process
 * can share it. A test can have it fail, to see how publishers react.
 */
export class MemoryBroker implements Broker {
  readonly name: string;
  readonly orderedBatches: boolean;
  readonly keepsRetries = true;
  /** Every message that the broker took, in that order. */
  readonly published: Message[] = [];
  /** The number of messages in each call of `publish`. */
  readonly batches: number[] = [];
  readonly #clock: Clock;
  readonly #topics = new Map<string, { groups: Set<string>; kept: Message[] }>();
  readonly #groups = new Map<string, MemoryBrokerGroup>();
  readonly #consumers = new Set<Consumer>();
  #fault: PublishFault | undefined;
  #down: Error | null = null;
  #hang: Promise<void> | undefined;
  #closed = false;

  constructor(options: MemoryBrokerOptions) {
    this.#clock = options.clock;
    this.name = options.name ?? 'memory';
    this.orderedBatches = options.orderedBatches ?? true;
  }

  /** Has the fault decide about every message from now on; undefined removes the fault. */
  failWith(fault: PublishFault | undefined): void {
    this.#fault = fault;
  }

  /** While an error is set, the broker takes nothing and is not healthy; null ends that. */
  setDown(error: Error | null): void {
    this.#down = error;
  }

  /** Publishes are not answered until the returned function is called. */
  hang(): () => void {
    let go: () => void = () => undefined;
    const gate = new Promise<void>((resolve) => {
      go = resolve;
    });
    this.#hang = gate;
    return () => {
      if (this.#hang === gate) this.#hang = undefined;
      go();
    };
  }

  async publish(
    batch: readonly Message[],
    deadline = Infinity,
  ): Promise<readonly PublishOutcome[]> {
    this.batches.push(batch.length);
    await this.#hang;
    if (this.#clock.now() >= deadline) return batch.map(() => ({ kind: 'expired' }));
    const down = this.#closed ? new Error('The broker is closed.') : this.#down;
    const broken = new Map<string, PublishOutcome>();
    return batch.map((message, at) => {
      if (down !== null) return { kind: 'unavailable', error: down };
      const line = `${message.tenant}\u0000${message.topic}\u0000${message.key}`;
      // After a message that was not taken, no further message of its key is taken, so the messages
      // taken are a prefix.
      const before = this.orderedBatches ? broken.get(line) : undefined;
      const outcome = before ?? refusalOf(message) ?? this.#fault?.(message, at, batch) ?? null;
      if (outcome !== null) {
        broken.set(line, outcome);
        return outcome;
      }
      this.#take(message);
      return { kind: 'acknowledged' };
    });
  }

  /** Delivers messages of the topics, in order for each key, until the subscription is closed. */
  async subscribe(request: SubscribeRequest): Promise<Subscription> {
    const group = this.#group(request.group);
    for (const name of request.topics) {
      const topic = this.#topic(name);
      if (topic.groups.has(request.group)) continue;
      topic.groups.add(request.group);
      // Messages that no group had subscribed for go to the first group that subscribes.
      for (const message of topic.kept.splice(0)) group.add(message);
    }
    const consumer: Consumer = {
      places: new Places(this.#clock, request.concurrency),
      timeoutMs: request.timeoutMs === undefined ? 900_000 : request.timeoutMs,
      handle: request.handle,
      aborts: new Set(),
      open: true,
      idle: undefined,
    };
    this.#consumers.add(consumer);
    group.join(consumer);
    return {
      close: (withinMs) => this.#leave(group, consumer, withinMs),
      problem: () => {
        if (!consumer.open) return 'The subscription is closed.';
        if (this.#down !== null) return `The broker is down: ${this.#down.message}`;
        return consumer.places.problem(`the consumer group ${request.group}`);
      },
    };
  }

  async health(): Promise<void> {
    if (this.#closed) throw new Error('The broker is closed.');
    if (this.#down !== null) throw this.#down;
  }

  /** Ends all deliveries; messages that were not acknowledged are forgotten. */
  async close(): Promise<void> {
    this.#closed = true;
    for (const consumer of this.#consumers) {
      consumer.open = false;
      for (const abort of consumer.aborts) abort.abort(new SubscriptionClosedError());
    }
  }

  /** The number of messages that a group has not handled yet. */
  waiting(group: string): number {
    return this.#groups.get(group)?.waiting ?? 0;
  }

  async #leave(group: MemoryBrokerGroup, consumer: Consumer, withinMs: number): Promise<void> {
    consumer.open = false;
    if (consumer.places.taken > 0) {
      await new Promise<void>((resolve) => {
        const timer = this.#clock.after(withinMs, resolve);
        consumer.idle = () => {
          timer.cancel();
          resolve();
        };
      });
    }
    for (const abort of consumer.aborts) abort.abort(new SubscriptionClosedError());
    this.#consumers.delete(consumer);
    group.leave(consumer);
  }

  #take(message: Message): void {
    this.published.push(message);
    const copy: Message = {
      ...message,
      payload: Uint8Array.from(message.payload),
      headers: { ...message.headers },
    };
    const topic = this.#topic(message.topic);
    if (topic.groups.size === 0) topic.kept.push(copy);
    for (const group of topic.groups) this.#group(group).add(copy);
  }

  #topic(name: string): { groups: Set<string>; kept: Message[] } {
    let topic = this.#topics.get(name);
    if (topic === undefined) {
      topic = { groups: new Set(), kept: [] };
      this.#topics.set(name, topic);
    }
    return topic;
  }

  #group(name: string): MemoryBrokerGroup {
    let group = this.#groups.get(name);
    if (group === undefined) {
      group = new MemoryBrokerGroup(name, this.#clock);
      this.#groups.set(name, group);
    }
    return group;
  }
}

function refusalOf(message: Message): PublishOutcome | null {
  const error = keyTooLong(message);
  return error === null ? null : { kind: 'rejected', error };
}
