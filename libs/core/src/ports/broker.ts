import type { LandedRow } from './landing-store.js';
import type { Message } from './message.js';

/** The outcome of one message of a batch. */
export type PublishOutcome =
  /** The message is stored as durably as this broker can. */
  | { readonly kind: 'acknowledged' }
  /** The broker refused this very message; an attempt is counted. */
  | { readonly kind: 'rejected'; readonly error: unknown }
  /** The broker cannot take messages now. No attempt is counted, and the destination is paused. */
  | { readonly kind: 'unavailable'; readonly error: unknown }
  /** The message was sent, but the broker did not answer. */
  | { readonly kind: 'unknown'; readonly error: unknown }
  /**
   * The deadline of the publish had passed before the message was sent, so nothing was sent. No attempt
   * is counted and nothing is paused; the relay tries again if the message is still its own.
   */
  | { readonly kind: 'expired' };

/** An attempt to handle a message that tells whether the group's handlers work at all. */
export interface HandlerTrial {
  /** False: a failure of the handler uses up no attempt of the message. */
  readonly counts: boolean;
  /** Called when the handler has answered or failed; not called where it was not reached. */
  ended(how: 'worked' | 'failed'): void;
}

/**
 * The right to go on with a delivery, for brokers that give a message to another consumer when its delivery
 * does not end in time.
 */
export interface DeliveryExtension {
  /** How often it must be extended, in milliseconds: well before the broker gives the message away. */
  readonly everyMs: number;
  /**
   * Asks the broker for more time. Rejects if the broker did not answer, or has given the message away; in
   * the second case `signal` of the delivery is aborted as well.
   */
  extend(): Promise<void>;
}

export interface Delivery {
  readonly message: Message;
  readonly group: string;
  /** The number of this delivery, from 1; deliveries that ended with their process count too. */
  readonly attempt: number;
  /**
   * True: the process that had this part of the queue before died while the message was in it. The
   * message may have been delivered then, although `attempt` does not count that. For brokers that
   * record nothing when they deliver.
   */
  readonly afterDeath?: boolean;
  /** False: other messages of its key may overtake it. Default true. */
  readonly ordered?: boolean;
  /** The row of the group's landing queue that the message comes from; absent: it comes from the broker. */
  readonly landed?: LandedRow;
  /** Who wants to know whether the handler works. Absent: nobody. */
  readonly trial?: HandlerTrial;
  /**
   * The right to work on the message, where it has to be extended while a handler runs: see
   * `whileExtended`. Absent: the broker waits for the end of the delivery as long as the subscription
   * lives.
   */
  readonly extension?: DeliveryExtension;
  /**
   * Aborted when the subscription loses the right to work on the message, or closes for good. Only in
   * the second case the reason is a `SubscriptionClosedError`: the message is given back in good order,
   * and if the process ends before the handler does, that is no crash.
   */
  readonly signal: AbortSignal;
}

export type DeliveryOutcome =
  /**
   * The broker has nothing more to do with the message. `landed`: it was put into the landing queue of its
   * group, so that the messages of its key that wait in the consumer's memory go there too.
   */
  | { readonly kind: 'done'; readonly landed?: true }
  /**
   * The message is delivered again after `delayMs` milliseconds; until then only the messages of its
   * key wait.
   */
  | { readonly kind: 'retry'; readonly delayMs: number; readonly error: unknown };

export interface SubscribeRequest {
  readonly group: string;
  readonly topics: readonly string[];
  /** Messages of different keys handled at once. */
  readonly concurrency: number;
  /**
   * How long `handle` may take, in milliseconds; default 900,000. After that the signal of its delivery
   * is aborted, and soon after an attempt is counted and its place is free for messages of other keys.
   * Its key waits until the promise settles, or for the next attempt. Null: `handle` limits its own
   * time.
   */
  readonly timeoutMs?: number | null;
  /**
   * Handles a delivery. It should never reject; a rejection counts as a retry with the broker's default
   * delay.
   */
  readonly handle: (delivery: Delivery) => Promise<DeliveryOutcome>;
  /**
   * Puts deliveries of one key, which wait in memory behind one that has just landed, into the landing queue of
   * the group, in the order given. They are then done. False: they have to be handled. For brokers that do not
   * keep their retries.
   */
  readonly land?: (deliveries: readonly Delivery[]) => Promise<boolean>;
}

export interface Subscription {
  /** Takes no more deliveries and waits at most `withinMs` milliseconds for those under way. */
  close(withinMs: number): Promise<void>;
  /** The problem in words, for health; null while it works. */
  problem(): string | null;
  /**
   * How many handled messages cannot be removed from the broker, though others can, so that they may be
   * delivered once more. Absent if the broker removes nothing message by message.
   */
  stuck?(): number;
}

/** How much of a topic waits for a consumer group. */
export interface GroupLag {
  /** The consumer group; null: no group has joined the topic, and the first that does gets the messages. */
  readonly group: string | null;
  readonly topic: string;
  /**
   * How many messages wait, retries included, whether or not a process serves the group. A broker may stop
   * at 100,000 of each group, which then stands for more.
   */
  readonly messages: number;
  /** Milliseconds since the oldest of them was published, as far as the broker can tell; 0 if none waits. */
  readonly oldestAgeMs: number;
}

/** Whether a broker can be used, as its driver last saw it. */
export type BrokerHealth = {
  /** Since when it is so, for people. */
  readonly since: Date;
  /** For how many milliseconds it has been so, by the monotonic clock of the process; for decisions. */
  readonly forMs: number;
} & (
  | { readonly state: 'up' }
  /** `error`: why the broker cannot be used now. */
  | { readonly state: 'down'; readonly error: unknown }
);

/** A topic that a broker could not make ready. */
export interface TopicProblem {
  readonly topic: string;
  /** Why the topic cannot be used now. */
  readonly error: unknown;
}

/** A queue in which messages wait and that no living process works on. */
export interface UnservedQueue {
  /**
   * - `outbox`: no relay lives that publishes what is in it.
   * - `group`: no process of the consumer group lives.
   * - `topic`: no consumer group has ever joined the topic.
   * - `landing`: no process of the consumer group lives that works on its landing queue.
   */
  readonly kind: 'outbox' | 'group' | 'topic' | 'landing';
  /** The connection of an outbox, or the name of a group or topic. */
  readonly name: string;
  /** For how many milliseconds the oldest of its messages has waited. */
  readonly oldestMs: number;
  /** How many messages wait, of a landing queue; counted up to 100,000 of each status. */
  readonly waiting?: number;
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
  /**
   * True: a delivery that ends as `retry` holds back its key and nothing else, however long it takes. False:
   * it would hold back a part of the broker's queue, so that longer retries are put into the landing queue of
   * the consumer group.
   */
  readonly keepsRetries: boolean;
  /**
   * One outcome for each message, in order. Never rejects.
   *
   * @param deadline - until when the messages surely belong to the caller, by the monotonic clock of the
   *   process (`Clock.now`); default: for ever. A process that is stopped, or a wait for a connection,
   *   may last longer. Then another process may have published or given up these messages, and
   *   published later ones of their keys, which these would follow out of order. A broker that may wait
   *   before it sends looks at the clock directly before it does, and answers `expired` past the
   *   deadline. One that hands the messages to a client which sends when it likes has nothing to check.
   */
  publish(batch: readonly Message[], deadline?: number): Promise<readonly PublishOutcome[]>;
  /**
   * Makes what the broker needs before these topics can be used, or checks that it is there: a topic of a
   * log, an exchange, a stream. Called before a subscription, and before a relay's first message to a
   * topic, and again after the broker took nothing of it. What is there already stays as it is, also where
   * its settings differ. Any number of processes may call it at once, for the same topics.
   *
   * Returns the topics that cannot be used now, each with the reason; the others can be used, so one topic
   * never stands in the way of another. Rejects only if the broker cannot be asked at all. The relay gives
   * a call half of `publishTimeoutMs`; after that it takes the topic to be away until the call ends.
   */
  ensure(topics: readonly string[]): Promise<readonly TopicProblem[]>;
  subscribe(request: SubscribeRequest): Promise<Subscription>;
  /**
   * Whether the broker can be used, and since when. It asks the broker, by a real request, and ends within
   * seconds. Never rejects.
   */
  health(): Promise<BrokerHealth>;
  /**
   * Returns the lag of consumer groups, by topic: at least of each topic that a group has joined, at most
   * 1,000 entries, those with the most messages. It is called for metrics, so its cost must be bounded
   * however many messages wait. Rejects if the broker cannot be asked.
   */
  lag(): Promise<readonly GroupLag[]>;
  /**
   * Returns consumer groups and topics whose messages no process will take, at most 100. It is called
   * regularly, so its cost must not depend on the number of messages. Absent if the broker cannot tell.
   */
  unserved?(): Promise<readonly UnservedQueue[]>;
  /**
   * Removes a consumer group that will not be served again, with all messages that wait for it, and
   * resolves to their number. Rejects with `GroupInUseError` while a process of the group lives, and
   * with `UnknownGroupError` if there is no such group. Absent if the broker's own tools do that.
   */
  removeGroup?(group: string): Promise<number>;
  close(): Promise<void>;
}
