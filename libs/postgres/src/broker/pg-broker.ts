import {
  BrokerHealthRecord,
  handleEach,
  SlotConsumer,
  topicNameProblem,
  type Broker,
  type BrokerHealth,
  type Clock,
  type FaultPoints,
  type GroupLag,
  type Logger,
  type Message,
  type PublishOutcome,
  type SubscribeRequest,
  type Subscription,
  type TopicProblem,
  type UnservedQueue,
} from '@sagaz/core';
import type { SagazClient, SagazPool, SchemaName } from '../connection/index.js';
import { PgSlotQueue } from '../slots/index.js';
import type { PgWakeUps } from '../wake-ups/index.js';
import { Announcements } from './announcements.js';
import { readLag } from './broker-lag.js';
import { BrokerClosedError } from './broker.errors.js';
import { Groups } from './groups.js';
import { HandOver } from './hand-over.js';
import { joinTopics } from './membership.js';
import { Publisher } from './publisher.js';

export interface ConsumerSettings {
  readonly leaseTtlMs?: number;
  readonly pollIntervalMs?: number;
}

export interface PgBrokerParts {
  readonly pool: SagazPool;
  readonly schema: SchemaName;
  readonly wakeUps: PgWakeUps;
  /** Opens the connection for the leases of one group. */
  readonly openLeases: () => SagazClient;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly consumer?: ConsumerSettings;
  readonly faults?: FaultPoints;
}

const CLOSE_WITHIN_MS = 10_000;

/**
 * A broker in a database. A message is one row for each group of its topic, written where it is
 * published and removed when it is handled; each group is a queue of slots, worked on as the outbox
 * is. A batch is one transaction: all of it is taken, or nothing.
 */
export class PgBroker implements Broker {
  readonly name = 'postgres';
  readonly orderedBatches = true;
  /** A retry is one update of a row that is in a queue with held keys already. */
  readonly keepsRetries = true;
  readonly #parts: PgBrokerParts;
  readonly #publisher: Publisher;
  readonly #groups: Groups;
  readonly #record: BrokerHealthRecord;
  readonly #open = new Set<Subscription>();
  #closed: Promise<void> | null = null;

  constructor(parts: PgBrokerParts) {
    this.#parts = parts;
    this.#groups = new Groups(parts.pool, parts.schema);
    this.#record = new BrokerHealthRecord(parts.clock);
    this.#publisher = new Publisher(
      parts.pool,
      parts.schema,
      new Announcements(parts.wakeUps, parts.clock),
      parts.clock,
    );
  }

  publish(batch: readonly Message[], deadline?: number): Promise<readonly PublishOutcome[]> {
    if (this.#closed === null) return this.#publisher.publish(batch, deadline);
    const error = new BrokerClosedError('publish to');
    return Promise.resolve(batch.map(() => ({ kind: 'unavailable', error })));
  }

  /**
   * A topic is nothing but a name in the rows of its messages and groups, so there is nothing to make, and
   * nothing that two processes could make twice. A name that no row could hold is refused.
   */
  async ensure(topics: readonly string[]): Promise<readonly TopicProblem[]> {
    if (this.#closed !== null) throw new BrokerClosedError('ensure topics of');
    return topics.flatMap((topic) => {
      const problem = topicNameProblem(topic);
      return problem === null ? [] : [{ topic, error: new Error(problem) }];
    });
  }

  /**
   * The group joins the topics for good: messages that are published while none of its processes lives
   * wait for the next one. A topic that is no longer asked for stays joined, since another version of
   * the service may still want it.
   */
  async subscribe(request: SubscribeRequest): Promise<Subscription> {
    if (this.#closed !== null) throw new BrokerClosedError('subscribe to');
    const { pool, schema, clock, logger, wakeUps, consumer: settings, faults } = this.#parts;
    const { group } = request;
    const member = await joinTopics(pool, schema, group, request.topics);
    const leases = this.#parts.openLeases();
    const table = { schema, queue: group, number: member.number };
    const store = new PgSlotQueue(pool, table, { leases });
    const consumer = new SlotConsumer({
      name: `consumer group ${group}`,
      store,
      clock,
      logger,
      wake: { wakeUps, channel: `queue:${group}` },
      ...(settings === undefined ? {} : { settings }),
      ...(faults === undefined ? {} : { faults }),
      work: handleEach({
        name: `the consumer group ${group}`,
        clock,
        concurrency: request.concurrency,
        ...(request.timeoutMs === undefined ? {} : { timeoutMs: request.timeoutMs }),
        ...(faults === undefined ? {} : { faults }),
        handle: async (row, signal, afterDeath) => {
          const attempt = row.attempts + 1;
          const { message } = row;
          const { ordered } = row;
          const outcome = await request.handle({
            message,
            group,
            attempt,
            afterDeath,
            ordered,
            signal,
          });
          if (outcome.kind === 'done') return { kind: 'complete' };
          return { kind: 'retry', delayMs: outcome.delayMs, counts: true, error: outcome.error };
        },
      }),
    });
    const handedOver = (): void => consumer.wake();
    const handOver = new HandOver({ pool, schema, clock, logger, group, member, handedOver });
    const subscription: Subscription = {
      close: async (withinMs) => {
        this.#open.delete(subscription);
        try {
          await Promise.all([consumer.close(withinMs), handOver.stop()]);
        } finally {
          await leases.end();
        }
      },
      problem: () => consumer.problem() ?? handOver.problem,
      stuck: () => consumer.stuck(),
    };
    this.#open.add(subscription);
    await consumer.start();
    handOver.start();
    return subscription;
  }

  async health(): Promise<BrokerHealth> {
    if (this.#closed !== null) return this.#record.down(new BrokerClosedError('ask'));
    try {
      // Reads a table as well, because a reachable database without the broker's schema takes no
      // messages.
      await this.#parts.pool.for('health').query({
        text: `SELECT EXISTS (SELECT FROM ${this.#parts.schema.quoted}.subscription)`,
      });
      return this.#record.up();
    } catch (error) {
      return this.#record.down(error);
    }
  }

  unserved(): Promise<readonly UnservedQueue[]> {
    return this.#groups.unserved();
  }

  removeGroup(group: string): Promise<number> {
    return this.#groups.remove(group);
  }

  lag(): Promise<readonly GroupLag[]> {
    return readLag(this.#parts.pool, this.#parts.schema);
  }

  /** Closes the open subscriptions, then the connections. */
  close(): Promise<void> {
    this.#closed ??= this.#close();
    return this.#closed;
  }

  async #close(): Promise<void> {
    await Promise.all([...this.#open].map((one) => one.close(CLOSE_WITHIN_MS)));
    await this.#parts.wakeUps.close();
    await this.#parts.pool.end();
  }
}
