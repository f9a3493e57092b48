import { BrokerHealthRecord, keyTooLong, topicNameProblem } from '../../messaging/index.js';
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
} from '../../ports/index.js';
import { LogPlaces } from './log-places.js';
import type { LogMember, LogPartition, LogServer } from './log-server.js';
import { LogWorker } from './log-worker.js';

export interface LogBrokerOptions {
  readonly server: LogServer;
  readonly clock: Clock;
  /** After how many messages of a partition it acknowledges them. Default 500. */
  readonly commitEvery?: number;
  /** After how many milliseconds it acknowledges at the latest. Default 20. */
  readonly commitAfterMs?: number;
  /** How long a handler under way may hold up a rebalance, in milliseconds. Default 10,000. */
  readonly drainMs?: number;
}

const MOST_BYTES = 1_024 * 1_024;
const COMMIT_EVERY = 500;
const COMMIT_AFTER_MS = 20;
const DRAIN_MS = 10_000;
const CLOSE_WITHIN_MS = 10_000;

/** A consumer of this process, with its workers by partition. */
class Member implements LogMember {
  readonly topics: readonly string[];
  readonly places: LogPlaces;
  readonly #workers = new Map<string, LogWorker>();
  readonly #work: (partition: LogPartition, from: number, afterDeath: boolean) => LogWorker;
  readonly #refuse: (partition: LogPartition) => void;
  readonly #drainMs: number;
  #open = true;

  constructor(options: {
    readonly topics: readonly string[];
    readonly places: LogPlaces;
    readonly drainMs: number;
    readonly work: (partition: LogPartition, from: number, afterDeath: boolean) => LogWorker;
    /** Called for a partition that comes while the member closes. */
    readonly refuse: (partition: LogPartition) => void;
  }) {
    this.topics = options.topics;
    this.places = options.places;
    this.#drainMs = options.drainMs;
    this.#work = options.work;
    this.#refuse = options.refuse;
  }

  get open(): boolean {
    return this.#open;
  }

  own(partition: LogPartition, from: number, afterDeath: boolean): void {
    if (this.#open) this.#workers.set(nameOf(partition), this.#work(partition, from, afterDeath));
    else this.#refuse(partition);
  }

  async release(partition: LogPartition): Promise<void> {
    const worker = this.#workers.get(nameOf(partition));
    this.#workers.delete(nameOf(partition));
    await worker?.release(this.#drainMs);
  }

  async close(withinMs: number): Promise<void> {
    this.#open = false;
    await Promise.all([...this.#workers.values()].map((worker) => worker.release(withinMs)));
  }

  die(): void {
    this.#open = false;
    for (const worker of this.#workers.values()) worker.die();
  }
}

/**
 * A broker for tests, over a {@link LogServer}: it delivers the next message of a partition only when the one
 * before it has ended, keeps no retries, and forgets what it has not acknowledged when its process dies. What
 * the core has for such brokers is tried with it.
 */
export class LogBroker implements Broker {
  readonly name = 'log';
  readonly orderedBatches = true;
  readonly keepsRetries = false;
  readonly #options: LogBrokerOptions;
  readonly #record: BrokerHealthRecord;
  readonly #members = new Map<Member, string>();
  readonly #unsettled = new Map<string, Promise<unknown>>();
  #closed = false;

  constructor(options: LogBrokerOptions) {
    this.#options = options;
    this.#record = new BrokerHealthRecord(options.clock);
  }

  async publish(
    batch: readonly Message[],
    deadline = Infinity,
  ): Promise<readonly PublishOutcome[]> {
    const { server, clock } = this.#options;
    if (clock.now() >= deadline) return batch.map(() => ({ kind: 'expired' }));
    const problem = this.#problem();
    if (problem !== null) return batch.map(() => ({ kind: 'unavailable', error: problem }));
    const broken = new Set<string>();
    return batch.map((message): PublishOutcome => {
      const line = `${message.tenant}\u0000${message.topic}\u0000${message.key}`;
      const outcome = broken.has(line) ? BEHIND : take(server, message);
      if (outcome.kind !== 'acknowledged') broken.add(line);
      return outcome;
    });
  }

  async ensure(topics: readonly string[]): Promise<readonly TopicProblem[]> {
    const down = this.#problem();
    if (down !== null) throw down;
    return topics.flatMap((topic) => {
      const problem = topicNameProblem(topic);
      if (problem !== null) return [{ topic, error: new Error(problem) }];
      this.#options.server.makeTopic(topic);
      return [];
    });
  }

  async subscribe(request: SubscribeRequest): Promise<Subscription> {
    const problem = this.#problem();
    if (problem !== null) throw problem;
    const { server, clock, drainMs = DRAIN_MS } = this.#options;
    const missing = request.topics.find((topic) => !server.has(topic));
    if (missing !== undefined) throw unknownTopic(missing);
    const { group } = request;
    const places = new LogPlaces(clock, request.concurrency);
    const member = new Member({
      topics: request.topics,
      places,
      drainMs,
      work: (partition, from, afterDeath) =>
        this.#worker(request, places, { partition, from, afterDeath }),
      refuse: (partition) => server.closed(group, partition),
    });
    this.#members.set(member, group);
    void server.join(group, member);
    return {
      close: async (withinMs) => {
        if (!this.#members.delete(member)) return;
        await member.close(withinMs);
        void server.leave(group, member);
      },
      problem: () => {
        if (!member.open) return 'The subscription is closed.';
        return server.down?.message ?? places.problem(`the consumer group ${group}`);
      },
    };
  }

  async health(): Promise<BrokerHealth> {
    const problem = this.#problem();
    return problem === null ? this.#record.up() : this.#record.down(problem);
  }

  async lag(): Promise<readonly GroupLag[]> {
    const problem = this.#problem();
    if (problem !== null) throw problem;
    return this.#options.server.lag();
  }

  async close(): Promise<void> {
    this.#closed = true;
    const members = [...this.#members];
    this.#members.clear();
    await Promise.all(
      members.map(async ([member, group]) => {
        await member.close(CLOSE_WITHIN_MS);
        void this.#options.server.leave(group, member);
      }),
    );
  }

  /** The process dies: what it had not acknowledged is delivered again, to others. */
  async die(): Promise<void> {
    this.#closed = true;
    const members = [...this.#members];
    this.#members.clear();
    for (const [member] of members) member.die();
    await Promise.all(members.map(([member, group]) => this.#options.server.leave(group, member)));
  }

  #worker(
    request: SubscribeRequest,
    places: LogPlaces,
    given: {
      readonly partition: LogPartition;
      readonly from: number;
      readonly afterDeath: boolean;
    },
  ): LogWorker {
    const { server, clock, commitEvery, commitAfterMs } = this.#options;
    return new LogWorker({
      ...given,
      server,
      clock,
      request,
      places,
      unsettled: this.#unsettled,
      commitEvery: commitEvery ?? COMMIT_EVERY,
      commitAfterMs: commitAfterMs ?? COMMIT_AFTER_MS,
    });
  }

  #problem(): Error | null {
    return this.#closed ? new Error('The broker is closed.') : this.#options.server.down;
  }
}

const BEHIND: PublishOutcome = {
  kind: 'unavailable',
  error: new Error('Not sent: the message before it in its key was not taken.'),
};

function take(server: LogServer, message: Message): PublishOutcome {
  const bytes = message.payload.byteLength;
  const refused =
    keyTooLong(message) ??
    (bytes > MOST_BYTES ? new Error(`The message has ${bytes} bytes, ${MOST_BYTES} may.`) : null);
  if (refused !== null) return { kind: 'rejected', error: refused };
  return server.append(message)
    ? { kind: 'acknowledged' }
    : { kind: 'unavailable', error: unknownTopic(message.topic) };
}

function unknownTopic(topic: string): Error {
  return new Error(`There is no topic '${topic}'.`);
}

function nameOf({ topic, number }: LogPartition): string {
  return `${topic} ${String(number)}`;
}
