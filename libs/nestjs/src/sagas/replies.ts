import { Inject, Injectable, type OnModuleInit } from '@nestjs/common';
import {
  commandsWithoutHandledBy,
  HEADERS,
  MalformedReplyError,
  checkedReply,
  replyMail,
  replyTopicOf,
  untrustedMail,
  whileExtended,
  type Broker,
  type Clock,
  type Delivery,
  type DeliveryOutcome,
  type Logger,
  type NewMail,
} from '@sagaz/core';
import { KeptSubscription } from '../broker/index.js';
import { Connections, detached, type Connection } from '../enlist/index.js';
import { WorkObservers, Workers, type StuckMessages, type Worker } from '../lifecycle/index.js';
import type { EffectiveOptions } from '../options/index.js';
import { SAGAZ_BROKER, SAGAZ_CLOCK, SAGAZ_LOGGER, SAGAZ_OPTIONS } from '../tokens/index.js';
import { ReplyStoring, type PutOff } from './reply-storing.js';
import { SagaSet } from './saga-set.js';
import { uncheckedReplies } from './unchecked-replies.js';

/** How many replies of different sagas are taken at once; each is one small insert. */
const CONCURRENCY = 50;

/**
 * Takes the replies to this service's commands and stores them as mail of their sagas. It needs no
 * inbox, because mail is unique by the command that it answers, so a reply that is delivered twice is
 * stored once.
 */
@Injectable()
export class Replies implements Worker, OnModuleInit {
  readonly name = 'replies';
  #subscription: KeptSubscription | null = null;
  readonly #storing: ReplyStoring;

  constructor(
    @Inject(SAGAZ_OPTIONS) private readonly options: EffectiveOptions,
    @Inject(SAGAZ_BROKER) private readonly broker: Broker | null,
    @Inject(SAGAZ_CLOCK) private readonly clock: Clock,
    @Inject(SAGAZ_LOGGER) private readonly logger: Logger,
    @Inject(Connections) private readonly connections: Connections,
    @Inject(SagaSet) private readonly sagas: SagaSet,
    @Inject(Workers) private readonly workers: Workers,
    @Inject(WorkObservers) private readonly work: WorkObservers,
  ) {
    this.#storing = new ReplyStoring({
      clock,
      logger,
      onFailure: (connection, failure) => work.repliesFailed({ connection, failure }),
    });
  }

  onModuleInit(): void {
    if (this.options.roles.engine && this.broker !== null && this.#keepers().length > 0) {
      this.workers.add(this);
    }
  }

  async start(): Promise<void> {
    const { broker, options } = this;
    if (broker === null) return;
    this.#warnOfUnchecked(broker);
    const subscription = new KeptSubscription({
      broker,
      clock: this.clock,
      logger: this.logger,
      onFailure: (failure) => this.work.brokerFailed({ failure }),
      request: {
        group: this.#group,
        topics: [replyTopicOf(options.service)],
        concurrency: CONCURRENCY,
        handle: (delivery) =>
          whileExtended(delivery, () => this.#take(delivery), {
            clock: this.clock,
            logger: this.logger,
            onFailure: ({ group }) => this.work.extensionFailed({ group }),
          }),
      },
    });
    this.#subscription = subscription;
    // A refusal ends the start: without replies the service's sagas would wait in vain.
    await detached(() => subscription.open());
  }

  /** In one process with its broker there is nobody else who could answer. */
  #warnOfUnchecked({ name }: Broker): void {
    const { signing } = this.options;
    if (name === 'memory' || (signing !== undefined && !signing.acceptsUnsigned)) return;
    const warning = uncheckedReplies(commandsWithoutHandledBy());
    if (warning !== null) this.logger.warn(warning);
  }

  async stop(withinMs: number): Promise<void> {
    await this.#subscription?.close(withinMs);
  }

  problem(): string | null {
    return this.#subscription?.problem() ?? this.#storing.problem;
  }

  /**
   * The process can wait for the broker: its sagas wait for replies anyway, and the commands of new
   * sagas wait in the outbox.
   */
  withoutBroker(): 'waits' {
    return 'waits';
  }

  stuck(): readonly StuckMessages[] {
    return [{ kind: 'group', name: this.#group, count: this.#subscription?.stuck() ?? 0 }];
  }

  get #group(): string {
    return `${this.options.service}.engine`;
  }

  /** The connections whose stores have sagas of this service. */
  #keepers(): readonly Connection[] {
    return this.connections.all.filter((connection) => this.sagas.of(connection).length > 0);
  }

  async #take({ message, attempt }: Delivery): Promise<DeliveryOutcome> {
    const distrust = this.options.signing?.verify(message) ?? null;
    let mail: NewMail;
    try {
      mail =
        distrust === null
          ? replyMail(await checkedReply(message))
          : untrustedMail(message, distrust);
    } catch (error) {
      if (!(error instanceof MalformedReplyError)) throw error;
      // No further attempt could read the message, and it names no saga that could be told.
      this.logger.error(
        'A reply makes no sense and was dropped.',
        { messageId: message.id },
        error,
      );
      this.work.replyDropped({ reason: 'malformed' });
      return { kind: 'done' };
    }
    const keeper = await this.#keeperOf(mail, attempt, distrust !== null);
    if (keeper === null) {
      this.logger.warn('A reply came for a saga that is not here; it was dropped.', {
        messageId: message.id,
        sagaId: mail.sagaId,
        step: message.headers[HEADERS.step],
      });
      this.work.replyDropped({ reason: distrust === null ? 'unknown_saga' : 'untrusted' });
      return { kind: 'done' };
    }
    const putOff = 'delayMs' in keeper ? keeper : await this.#storing.put(keeper, mail, attempt);
    return putOff === null ? { kind: 'done' } : { kind: 'retry', ...putOff };
  }

  /**
   * Finds the connection whose store has the saga of the mail; null: none has. If there is only one
   * connection with sagas, its store is not asked, because mail may come before its saga. `mustExist`
   * asks it all the same: forged replies must not be stored as mail of sagas that will never exist.
   */
  async #keeperOf(
    mail: NewMail,
    attempt: number,
    mustExist: boolean,
  ): Promise<Connection | PutOff | null> {
    const all = this.#keepers();
    const [only, ...others] = all;
    if (only !== undefined && others.length === 0 && !mustExist) return only;
    let putOff: PutOff | null = null;
    for (const connection of all) {
      const found = await this.#storing.has(connection, mail, attempt);
      if (found === true) return connection;
      // Another store may have the saga, and its replies need not wait for this one.
      if (found !== false) putOff = found;
    }
    return putOff;
  }
}
