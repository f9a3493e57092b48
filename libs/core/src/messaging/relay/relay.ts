import { errorText, storeFailureOf } from '../../errors/index.js';
import { guarded } from '../../observers/index.js';
import {
  noFaults,
  type Broker,
  type Clock,
  type FaultPoints,
  type Logger,
  type Message,
  type NewMail,
  type OutboxStore,
  type QueuedMessage,
  type WakeUps,
} from '../../ports/index.js';
import { DEFAULT_SLOT_SETTINGS, SlotConsumer, type RowOutcome } from '../slots/index.js';
import type { MessageSigning } from '../signing/index.js';
import { BatchPublisher } from './batch-publisher.js';
import { checkRelaySettings } from './check-relay-settings.js';
import { awaitedRole, undeliverableReply } from './failure-reply.js';
import type { RelayObserver } from './relay-observer.js';
import { DEFAULT_RELAY_SETTINGS, type RelaySettings } from './relay-settings.js';

export interface RelayOptions {
  readonly outbox: OutboxStore;
  readonly broker: Broker;
  readonly clock: Clock;
  readonly logger: Logger;
  /** Hints about commits. Without them only polling finds committed messages. */
  readonly wakeUps?: WakeUps;
  /**
   * Makes mail for the saga that waits for a reply (the engine's `undeliveredMail`). No participant
   * will ever answer a command that the relay gives up.
   */
  readonly replyMail: (reply: Message) => NewMail;
  /**
   * Signs each message when it is published, so that messages written before signing was configured are
   * signed too. Default: no signature.
   */
  readonly signing?: Pick<MessageSigning, 'sign'>;
  readonly observer?: RelayObserver;
  readonly faults?: FaultPoints;
  readonly settings?: Partial<RelaySettings>;
}

/**
 * Publishes the committed messages of an outbox to a broker: at least once, in the order of each key.
 * Any number of relays may work on one outbox; each holds a share of its slots.
 */
export class Relay {
  readonly #consumer: SlotConsumer;
  readonly #options: RelayOptions;
  readonly #settings: RelaySettings;

  /** @throws InvalidArgumentError, PublishTimeoutTooLongError */
  constructor(given: RelayOptions) {
    const options = guarded('The observer of a relay', given);
    const settings: RelaySettings = {
      ...DEFAULT_SLOT_SETTINGS,
      ...DEFAULT_RELAY_SETTINGS,
      ...options.settings,
    };
    checkRelaySettings(`The relay to ${options.broker.name}`, settings);
    const { logger, observer = {}, faults = noFaults, wakeUps } = options;
    this.#options = options;
    this.#settings = settings;
    const work = new BatchPublisher({
      broker: options.broker,
      clock: options.clock,
      logger,
      faults,
      settings,
      observer,
      outgoing: (message) => options.signing?.sign(message) ?? message,
      bury: (row, reason, error, counts) => this.#bury(row, reason, error, counts),
    });
    this.#consumer = new SlotConsumer({
      name: `The relay to ${options.broker.name}`,
      store: options.outbox,
      clock: options.clock,
      logger,
      work,
      settings,
      faults,
      points: {
        beforeComplete: 'relay.before-complete',
        afterComplete: 'relay.after-complete',
        beforeChange: 'relay.before-change',
      },
      observer: {
        leases: (count) => observer.leases?.(count),
        removed: (ageMs) => observer.lag?.(ageMs),
        storeFailed: (error) => observer.storeFailed?.({ failure: storeFailureOf(error) }),
      },
      ...(wakeUps === undefined ? {} : { wake: { wakeUps, channel: 'outbox' } }),
    });
  }

  /**
   * Joins the other relays and works in the background. It waits for a store or broker that is away.
   */
  start(): Promise<void> {
    return this.#consumer.start();
  }

  /**
   * Publishes nothing more, waits at most `withinMs` milliseconds for publishes under way, and gives
   * its slots back.
   */
  close(withinMs: number): Promise<void> {
    return this.#consumer.close(withinMs);
  }

  /** Looks for messages soon, because some were committed. */
  wake(): void {
    this.#consumer.wake();
  }

  /** The problem and its remedy in words, for health; null while it works. */
  problem(): string | null {
    return this.#consumer.problem();
  }

  /** How many published messages it cannot remove from the outbox; they may be published once more. */
  stuck(): number {
    return this.#consumer.stuck();
  }

  /** How many slots it holds now. */
  leases(): number {
    return this.#consumer.leases();
  }

  #bury(row: QueuedMessage, reason: string, error: unknown, counts: boolean): RowOutcome {
    const { message } = row;
    const { logger, observer, wakeUps } = this.#options;
    const mail = this.#mailOf(message, error);
    const isCommand = awaitedRole(message) !== null;
    return {
      kind: 'dead_letter',
      counts,
      error,
      reason,
      block: !isCommand && this.#settings.afterDeadLetter(message.topic) === 'block',
      ...(mail === null ? {} : { mail }),
      landed: () => {
        logger.error('A message was given up; it is kept as a dead letter.', {
          messageId: message.id,
          type: message.type,
          topic: message.topic,
          reason,
          error: errorText(error),
        });
        observer?.deadLettered?.(message, reason, error);
        if (mail !== null) wakeUps?.hint('saga');
      },
    };
  }

  #mailOf(message: Message, error: unknown): NewMail | null {
    const { clock, logger, replyMail } = this.#options;
    try {
      const reply = undeliverableReply(message, errorText(error), clock);
      return reply === null ? null : replyMail(reply);
    } catch (failure) {
      // The headers look like those of a command but are malformed, so no saga can be told. The message
      // must be given up all the same.
      logger.error(
        'A dead command names no saga that could be told.',
        { messageId: message.id },
        failure,
      );
      return null;
    }
  }
}
