import type { Message } from './message.js';

/** What became of one message of a batch. */
export type PublishOutcome =
  /** Durable, as far as this broker can make it. */
  | { readonly kind: 'acknowledged' }
  /** This very message is refused; it counts as an attempt. */
  | { readonly kind: 'rejected'; readonly error: unknown }
  /** The broker cannot take anything now; no attempt is counted, the destination pauses. */
  | { readonly kind: 'unavailable'; readonly error: unknown }
  /** Sent, but never answered. */
  | { readonly kind: 'unknown'; readonly error: unknown };

export interface Delivery {
  readonly message: Message;
  readonly group: string;
  /** From 1; counts deliveries, also those that ended with the process. */
  readonly attempt: number;
  /**
   * True: the process that had this part of the queue before died, and the message lay there. It may
   * have been delivered then, although `attempt` does not say so. For brokers that write nothing down
   * when they deliver.
   */
  readonly afterDeath?: boolean;
  /** Aborted when the subscription loses the right to work on the message, or closes for good. */
  readonly signal: AbortSignal;
}

export type DeliveryOutcome =
  | { readonly kind: 'done' }
  /** Delivered again after `delayMs`; until then the key, and only the key, is held back. */
  | { readonly kind: 'retry'; readonly delayMs: number; readonly error: unknown };

export interface SubscribeRequest {
  readonly group: string;
  readonly topics: readonly string[];
  /** Messages of different keys handled at once. */
  readonly concurrency: number;
  /**
   * How long `handle` may take, in milliseconds; default 900,000. Then the signal of its delivery is
   * aborted, and soon after an attempt is counted and its place is free for messages of other keys.
   * Its key waits until the promise settles, or for the next attempt. Null: `handle` ends in any case.
   */
  readonly timeoutMs?: number | null;
  /** Never rejects in normal life; a rejection is a retry with the broker's default delay. */
  readonly handle: (delivery: Delivery) => Promise<DeliveryOutcome>;
}

export interface Subscription {
  /** Takes no more deliveries and waits, at most `withinMs`, for those under way. */
  close(withinMs: number): Promise<void>;
  /** Null while it works; otherwise what is wrong. */
  problem(): string | null;
}

/** How many messages wait somewhere, and for how long. */
export interface Backlog {
  /** Counted up to 100,000: more than that is told as 100,000. */
  readonly waiting: number;
  /** Milliseconds since the oldest of those counted was published; 0 where none waits. */
  readonly oldestMs: number;
}

/** Messages that a broker keeps. */
export interface BrokerLag {
  /** Of every consumer group, whoever serves it: what it has before it, retries included. */
  readonly groups: readonly (Backlog & { readonly group: string })[];
  /** In topics that no group has joined yet. */
  readonly unrouted: Backlog;
}

/** A queue in which messages wait and that no living process works on. */
export interface UnservedQueue {
  /**
   * - `outbox`: no relay lives that publishes what is in it.
   * - `group`: no process of the consumer group lives.
   * - `topic`: no consumer group has ever joined the topic.
   */
  readonly kind: 'outbox' | 'group' | 'topic';
  /** Of an outbox the connection, of a group or topic its name. */
  readonly name: string;
  /** For how many milliseconds the oldest of its messages has waited. */
  readonly oldestMs: number;
}

/**
 * A message broker. Every implementation passes the same contract on a real server:
 * acknowledged means durable; a message to a topic that no group has joined yet is kept or refused,
 * never swallowed; delivery is ordered per key, concurrent across keys, back-pressured, acknowledged
 * only when handled, and repeated after a crash.
 */
export interface Broker {
  readonly name: string;
  /**
   * True: the acknowledged messages of one key in a batch always form a prefix. False: the relay
   * keeps at most one unacknowledged message per key here.
   */
  readonly orderedBatches: boolean;
  /** One outcome for each message, in order. Never rejects. */
  publish(batch: readonly Message[]): Promise<readonly PublishOutcome[]>;
  subscribe(request: SubscribeRequest): Promise<Subscription>;
  /** Rejects with what is wrong. */
  health(): Promise<void>;
  /**
   * How far consumer groups are behind. Asked for metrics, so its cost is bounded whatever waits. Absent
   * where the broker's own tools tell.
   */
  lag?(): Promise<BrokerLag>;
  /**
   * Consumer groups and topics in which messages wait for nobody, at most 100. Asked regularly, so its
   * cost does not depend on how much waits. Absent where the broker cannot tell.
   */
  unserved?(): Promise<readonly UnservedQueue[]>;
  /**
   * Removes a consumer group that nobody will serve again, with everything that waits for it, and
   * resolves to how many messages that were. Rejects with `GroupInUseError` while a process of the
   * group lives, and with `UnknownGroupError` where there is none. Absent where the broker's own tools
   * do that.
   */
  removeGroup?(group: string): Promise<number>;
  close(): Promise<void>;
}
