import { InvalidArgumentError } from '../errors/index.js';
import type {
  Broker,
  BrokerHealth,
  Clock,
  GroupLag,
  Message,
  PublishOutcome,
  SubscribeRequest,
  Subscription,
  TopicProblem,
} from '../ports/index.js';
import {
  BrokerHealthRecord,
  keyTooLong,
  Places,
  SubscriptionClosedError,
  topicNameProblem,
} from '../messaging/index.js';
import { MemoryBrokerGroup, type Consumer } from './memory-broker-group.js';
import { lagOf, type Kept } from './memory-broker-lag.js';

export interface MemoryBrokerOptions {
  readonly clock: Clock;
  /** The name of the broker. Default `memory`. */
  readonly name?: string;
  /** The value of {@link Broker.orderedBatches}. Default true. */
  readonly orderedBatches?: boolean;
  /**
   * A delivery that neither ends nor is extended for this many milliseconds is delivered again, to any
   * consumer of the group; at least 1. Default: a consumer has as long as its handler may take.
   */
  readonly redeliverAfterMs?: number;
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

interface Topic {
  readonly groups: Set<string>;
  /** The messages that no group has joined for yet. */
  readonly kept: Kept[];
}

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
  readonly #redeliverAfterMs: number | null;
  readonly #record: BrokerHealthRecord;
  readonly #topics = new Map<string, Topic>();
  readonly #groups = new Map<string, MemoryBrokerGroup>();
  readonly #consumers = new Set<Consumer>();
  #fault: PublishFault | undefined;
  readonly #away = new Map<string, Error>();
  #down: Error | null = null;
  #hang: Promise<void> | undefined;
  #closed = false;

  /** @throws InvalidArgumentError */
  constructor(options: MemoryBrokerOptions) {
    const { redeliverAfterMs } = options;
    if (redeliverAfterMs !== undefined && !(redeliverAfterMs >= 1)) {
      const remedy = 'Give a number of milliseconds from 1 on, or leave it out.';
      throw new InvalidArgumentError('MemoryBroker', 'redeliverAfterMs', redeliverAfterMs, remedy);
    }
    this.#clock = options.clock;
    this.name = options.name ?? 'memory';
    this.orderedBatches = options.orderedBatches ?? true;
    this.#redeliverAfterMs = redeliverAfterMs ?? null;
    this.#record = new BrokerHealthRecord(options.clock);
  }

  /** Has the fault decide about every message from now on; undefined removes the fault. */
  failWith(fault: PublishFault | undefined): void {
    this.#fault = fault;
  }

  /** While an error is set, the broker takes nothing and is not healthy; null ends that. */
  setDown(error: Error | null): void {
    this.#down = error;
    this.#note();
  }

  /** While an error is set for a topic, it cannot be made ready; null ends that. */
  setTopicAway(topic: string, error: Error | null): void {
    if (error === null) this.#away.delete(topic);
    else this.#away.set(topic, error);
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
    const down = this.#problem();
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
      for (const { message, at } of topic.kept.splice(0)) group.add(message, at);
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

  /** A topic begins to be with its first message or group, so only names that no message could have are refused. */
  async ensure(topics: readonly string[]): Promise<readonly TopicProblem[]> {
    const down = this.#problem();
    if (down !== null) throw down;
    return topics.flatMap((topic) => {
      const problem = topicNameProblem(topic);
      const error = this.#away.get(topic) ?? (problem === null ? null : new Error(problem));
      if (error === null) this.#topic(topic);
      return error === null ? [] : [{ topic, error }];
    });
  }

  async health(): Promise<BrokerHealth> {
    return this.#note();
  }

  async lag(): Promise<readonly GroupLag[]> {
    const down = this.#problem();
    if (down !== null) throw down;
    return lagOf(this.#topics, this.#groups, this.#clock.now());
  }

  /** Ends all deliveries; messages that were not acknowledged are forgotten. */
  async close(): Promise<void> {
    this.#closed = true;
    this.#note();
    for (const consumer of this.#consumers) {
      consumer.open = false;
      for (const abort of consumer.aborts) abort.abort(new SubscriptionClosedError());
    }
  }

  /** The number of messages that a group has not handled yet. */
  waiting(group: string): number {
    return this.#groups.get(group)?.waiting ?? 0;
  }

  #problem(): Error | null {
    return this.#closed ? new Error('The broker is closed.') : this.#down;
  }

  #note(): BrokerHealth {
    const problem = this.#problem();
    return problem === null ? this.#record.up() : this.#record.down(problem);
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
    const at = this.#clock.now();
    if (topic.groups.size === 0) topic.kept.push({ message: copy, at });
    for (const group of topic.groups) this.#group(group).add(copy, at);
  }

  #topic(name: string): Topic {
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
      group = new MemoryBrokerGroup(name, this.#clock, this.#redeliverAfterMs);
      this.#groups.set(name, group);
    }
    return group;
  }
}

function refusalOf(message: Message): PublishOutcome | null {
  const error = keyTooLong(message);
  return error === null ? null : { kind: 'rejected', error };
}
