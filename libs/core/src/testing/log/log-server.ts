import { placeOfKey } from '../../messaging/index.js';
import type { Clock, GroupLag, Message } from '../../ports/index.js';

/** A message in a partition, and when it was published by the clock of the server. */
export interface LogEntry {
  readonly message: Message;
  readonly at: number;
}

export interface LogPartition {
  readonly topic: string;
  readonly number: number;
}

/** A consumer of a group, as the server knows it. */
export interface LogMember {
  readonly topics: readonly string[];
  /**
   * The partition is the member's now: it reads from this place on. `afterDeath`: the owner before it died.
   */
  own(partition: LogPartition, from: number, afterDeath: boolean): void;
  /** The member works on nothing of the partition any more when this resolves. */
  release(partition: LogPartition): Promise<void>;
}

interface Group {
  readonly topics: Set<string>;
  readonly members: LogMember[];
  /** The place of each partition below which everything is acknowledged. */
  readonly committed: Map<string, number>;
  readonly owners: Map<string, LogMember>;
  /** Partitions whose owner has not given them back in good order. */
  readonly open: Set<string>;
  /** How far the assignment is shifted, so that a test can have partitions change hands. */
  shift: number;
  balancing: Promise<void>;
}

export interface LogServerOptions {
  readonly clock: Clock;
  /** The partitions of each topic. Default 8. */
  readonly partitions?: number;
}

/**
 * The server of a log that is cut into partitions: each keeps its messages for ever and in order, and for each
 * consumer group the place below which all were acknowledged. A partition belongs to one member of a group at a
 * time, but while `overlaps` is set, a new owner begins before the old one has ended.
 */
export class LogServer {
  /** While an error is set, the server answers nobody. */
  down: Error | null = null;
  overlaps = false;
  readonly #clock: Clock;
  readonly #count: number;
  readonly #topics = new Map<string, readonly LogEntry[][]>();
  readonly #groups = new Map<string, Group>();
  readonly #waiting = new Map<string, (() => void)[]>();

  constructor({ clock, partitions = 8 }: LogServerOptions) {
    this.#clock = clock;
    this.#count = partitions;
  }

  makeTopic(topic: string): void {
    if (this.#topics.has(topic)) return;
    this.#topics.set(
      topic,
      Array.from({ length: this.#count }, () => []),
    );
  }

  has(topic: string): boolean {
    return this.#topics.has(topic);
  }

  partitionOf({ tenant, topic, key }: Pick<Message, 'tenant' | 'topic' | 'key'>): LogPartition {
    return { topic, number: placeOfKey(tenant, topic, key).slot % this.#count };
  }

  /** False: there is no such topic. */
  append(message: Message): boolean {
    const partition = this.partitionOf(message);
    const entries = this.#topics.get(partition.topic)?.[partition.number];
    if (entries === undefined) return false;
    entries.push({
      message: {
        ...message,
        payload: Uint8Array.from(message.payload),
        headers: { ...message.headers },
      },
      at: this.#clock.now(),
    });
    for (const wake of this.#waiting.get(nameOf(partition))?.splice(0) ?? []) wake();
    return true;
  }

  entry({ topic, number }: LogPartition, place: number): LogEntry | undefined {
    return this.#topics.get(topic)?.[number]?.[place];
  }

  /** Calls `wake` once, when the next message of the partition comes. */
  whenAppended(partition: LogPartition, wake: () => void): void {
    const name = nameOf(partition);
    const waiting = this.#waiting.get(name) ?? [];
    this.#waiting.set(name, waiting);
    waiting.push(wake);
  }

  commit(group: string, partition: LogPartition, place: number): void {
    const { committed } = this.#group(group);
    const name = nameOf(partition);
    committed.set(name, Math.max(committed.get(name) ?? 0, place));
  }

  /** Forgets the last acknowledgements of each partition of a group, so that these messages come again. */
  forget(group: string, messages: number): void {
    const { committed } = this.#group(group);
    for (const [name, place] of committed) committed.set(name, Math.max(0, place - messages));
  }

  /** The owner has given the partition back in good order. */
  closed(group: string, partition: LogPartition): void {
    this.#group(group).open.delete(nameOf(partition));
  }

  join(group: string, member: LogMember): Promise<void> {
    const joined = this.#group(group);
    for (const topic of member.topics) joined.topics.add(topic);
    joined.members.push(member);
    return this.#balance(joined);
  }

  /** The member owns nothing any more; or it has died, and is never asked again. */
  leave(group: string, member: LogMember): Promise<void> {
    const left = this.#group(group);
    const at = left.members.indexOf(member);
    if (at >= 0) left.members.splice(at, 1);
    return this.#balance(left);
  }

  /** Has every partition change hands, if there is more than one member. */
  rebalance(group: string): Promise<void> {
    const balanced = this.#group(group);
    balanced.shift += 1;
    return this.#balance(balanced);
  }

  /** Whether every message of the group's topics is acknowledged. */
  acknowledged(group: string): boolean {
    return this.lag().every((lag) => lag.group !== group || lag.messages === 0);
  }

  lag(): readonly GroupLag[] {
    const now = this.#clock.now();
    const lags: GroupLag[] = [];
    for (const [topic, partitions] of this.#topics) {
      const groups = [...this.#groups].filter(([, { topics }]) => topics.has(topic));
      const told: readonly (readonly [string | null, ReadonlyMap<string, number>])[] =
        groups.length === 0
          ? [[null, new Map()]]
          : groups.map(([group, { committed }]) => [group, committed]);
      for (const [group, committed] of told) {
        const waiting = partitions.map((entries, number) =>
          entries.slice(committed.get(nameOf({ topic, number })) ?? 0),
        );
        const messages = waiting.reduce((sum, { length }) => sum + length, 0);
        const oldest = Math.min(now, ...waiting.flatMap(([first]) => first?.at ?? []));
        if (group !== null || messages > 0) {
          lags.push({ group, topic, messages, oldestAgeMs: now - oldest });
        }
      }
    }
    return lags;
  }

  #group(name: string): Group {
    let group = this.#groups.get(name);
    if (group === undefined) {
      group = {
        topics: new Set(),
        members: [],
        committed: new Map(),
        owners: new Map(),
        open: new Set(),
        shift: 0,
        balancing: Promise.resolve(),
      };
      this.#groups.set(name, group);
    }
    return group;
  }

  #balance(group: Group): Promise<void> {
    group.balancing = group.balancing.then(() => this.#assign(group));
    return group.balancing;
  }

  async #assign(group: Group): Promise<void> {
    const moves: Promise<void>[] = [];
    for (const topic of group.topics) {
      for (let number = 0; number < this.#count; number += 1) {
        moves.push(this.#give(group, { topic, number }));
      }
    }
    await Promise.all(moves);
  }

  /** Gives a partition to the member whose turn it is; first its owner has to release it, if that one lives. */
  async #give(group: Group, partition: LogPartition): Promise<void> {
    const name = nameOf(partition);
    const owner = group.owners.get(name);
    const next = this.#turnOf(group, partition);
    if (owner === next) return;
    const lives = owner !== undefined && group.members.includes(owner);
    const released = lives ? owner.release(partition) : Promise.resolve();
    if (!this.overlaps) await released;
    // Others may have joined or left meanwhile.
    const heir = this.#turnOf(group, partition);
    if (heir === undefined) {
      group.owners.delete(name);
    } else {
      const afterDeath = !lives && group.open.has(name);
      group.owners.set(name, heir);
      group.open.add(name);
      heir.own(partition, group.committed.get(name) ?? 0, afterDeath);
    }
    await released;
  }

  #turnOf({ members, shift }: Group, { topic, number }: LogPartition): LogMember | undefined {
    const willing = members.filter(({ topics }) => topics.includes(topic));
    return willing[(number + shift) % willing.length];
  }
}

function nameOf({ topic, number }: LogPartition): string {
  return `${topic} ${String(number)}`;
}
