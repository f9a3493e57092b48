import { setTimeout as pause } from 'node:timers/promises';
import type { Delivery, DeliveryOutcome, Message } from '../../ports/index.js';
import { SubscriptionClosedError } from '../../messaging/index.js';

/** How a consumer of the log handles what it reads. */
export interface LogConsumer {
  readonly group: string;
  readonly handle: (delivery: Delivery) => Promise<DeliveryOutcome>;
  /**
   * Broken on purpose, to see that trials catch it: the next message of a key is sent without the answer about the
   * one before it.
   */
  readonly unanswered?: true;
  /** Lands what waits in memory behind a message that has landed. */
  readonly land: (deliveries: readonly Delivery[]) => Promise<boolean>;
}

/** The messages that an owner holds in memory, at most. */
const WINDOW = 8;
const LONGEST_RETRY_MS = 20;
const IDLE_MS = 2;

/**
 * A broker that cuts a topic into partitions, as a log does: it keeps the messages in order, and for each group
 * of consumers the place up to which all were acknowledged. It may forget acknowledgements, so that messages
 * come again, and a partition may have two owners at once.
 */
export class PartitionedLog {
  readonly #partitions: readonly Message[][];
  /** The place of each partition from which an owner reads. */
  readonly #committed: number[];

  constructor(partitions: number) {
    this.#partitions = Array.from({ length: partitions }, () => []);
    this.#committed = this.#partitions.map(() => 0);
  }

  append(message: Message, partition: number): void {
    this.#partitions[partition]?.push(message);
  }

  /** Forgets the last acknowledgements of a partition. */
  rewind(partition: number, messages: number): void {
    this.#committed[partition] = Math.max(0, (this.#committed[partition] ?? 0) - messages);
  }

  /** Whether every message has been acknowledged. */
  get acknowledged(): boolean {
    return this.#partitions.every((messages, at) => (this.#committed[at] ?? 0) >= messages.length);
  }

  read(partition: number): { readonly from: number; readonly messages: readonly Message[] } {
    const from = this.#committed[partition] ?? 0;
    return { from, messages: (this.#partitions[partition] ?? []).slice(from, from + WINDOW) };
  }

  commit(partition: number, upTo: number): void {
    this.#committed[partition] = Math.max(this.#committed[partition] ?? 0, upTo);
  }
}

/**
 * An owner of a partition. It handles the messages of a key one after the other, each when it has the answer
 * about the one before, and those of different keys at once; and acknowledges them when all before them are.
 */
export class PartitionOwner {
  readonly #log: PartitionedLog;
  readonly #partition: number;
  readonly #consumer: LogConsumer;
  readonly #stop = new AbortController();
  readonly #running: Promise<void>;

  constructor(log: PartitionedLog, partition: number, consumer: LogConsumer) {
    this.#log = log;
    this.#partition = partition;
    this.#consumer = consumer;
    this.#running = this.#run();
  }

  /** Begins nothing more, and waits for what is under way. */
  async stop(): Promise<void> {
    this.#stop.abort(new SubscriptionClosedError());
    await this.#running;
  }

  get #stopped(): boolean {
    return this.#stop.signal.aborted;
  }

  async #run(): Promise<void> {
    while (!this.#stopped) {
      const { from, messages } = this.#log.read(this.#partition);
      if (messages.length === 0) {
        await pause(IDLE_MS);
        continue;
      }
      const lines = byKey(messages);
      const ended = await Promise.all([...lines.values()].map((line) => this.#line(line)));
      if (ended.every(Boolean)) this.#log.commit(this.#partition, from + messages.length);
    }
  }

  /** Whether all messages of the key have ended. */
  async #line(messages: readonly Message[]): Promise<boolean> {
    const deliveries = messages.map((message) => this.#deliveryOf(message));
    if (this.#consumer.unanswered === true) {
      const outcomes = await Promise.all(deliveries.map((delivery) => this.#handle(delivery)));
      return !outcomes.includes(null);
    }
    for (const [at, delivery] of deliveries.entries()) {
      const outcome = await this.#handle(delivery);
      if (outcome === null) return false;
      if (outcome.kind !== 'done' || outcome.landed !== true) continue;
      const followers = deliveries.slice(at + 1);
      if (followers.length > 0 && (await this.#consumer.land(followers))) return true;
    }
    return true;
  }

  async #handle(first: Delivery): Promise<DeliveryOutcome | null> {
    for (let attempt = 1; !this.#stopped; attempt += 1) {
      const outcome = await this.#consumer.handle({ ...first, attempt });
      if (outcome.kind === 'done') return outcome;
      await pause(Math.min(outcome.delayMs, LONGEST_RETRY_MS));
    }
    return null;
  }

  #deliveryOf(message: Message): Delivery {
    return { message, group: this.#consumer.group, attempt: 1, signal: this.#stop.signal };
  }
}

function byKey(messages: readonly Message[]): ReadonlyMap<string, Message[]> {
  const lines = new Map<string, Message[]>();
  for (const message of messages) {
    const line = lines.get(message.key) ?? [];
    lines.set(message.key, line);
    line.push(message);
  }
  return lines;
}
