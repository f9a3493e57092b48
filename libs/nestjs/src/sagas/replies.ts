import { Inject, Injectable, type OnModuleInit } from '@nestjs/common';
import {
  commandsWithoutHandledBy,
  HEADERS,
  MalformedReplyError,
  checkedReply,
  replyMail,
  replyTopicOf,
  untrustedMail,
  type Broker,
  type Clock,
  type Delivery,
  type DeliveryOutcome,
  type Logger,
  type NewMail,
  type Store,
} from '@sagaz/core';
import { KeptSubscription } from '../broker/index.js';
import { Connections, detached } from '../enlist/index.js';
import { WorkObservers, Workers, type StuckMessages, type Worker } from '../lifecycle/index.js';
import type { EffectiveOptions } from '../options/index.js';
import { SAGAZ_BROKER, SAGAZ_CLOCK, SAGAZ_LOGGER, SAGAZ_OPTIONS } from '../tokens/index.js';
import { SagaSet } from './saga-set.js';
import { uncheckedReplies } from './unchecked-replies.js';

/** How many replies of different sagas are taken at once; each is one small insert. */
const CONCURRENCY = 50;
const RETRY_MS = 1_000;

/**
 * Takes the replies to this service's commands and stores them as mail of their sagas. It needs no
 * inbox, because mail is unique by the command that it answers, so a reply that is delivered twice is
 * stored once.
 */
@Injectable()
export class Replies implements Worker, OnModuleInit {
  readonly name = 'replies';
  #subscription: KeptSubscription | null = null;

  constructor(
    @Inject(SAGAZ_OPTIONS) private readonly options: EffectiveOptions,
    @Inject(SAGAZ_BROKER) private readonly broker: Broker | null,
    @Inject(SAGAZ_CLOCK) private readonly clock: Clock,
    @Inject(SAGAZ_LOGGER) private readonly logger: Logger,
    @Inject(Connections) private readonly connections: Connections,
    @Inject(SagaSet) private readonly sagas: SagaSet,
    @Inject(Workers) private readonly workers: Workers,
    @Inject(WorkObservers) private readonly work: WorkObservers,
  ) {}

  onModuleInit(): void {
    if (this.options.roles.engine && this.broker !== null && this.#stores().length > 0) {
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
        handle: (delivery) => this.#take(delivery),
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
    return this.#subscription?.problem() ?? null;
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

  #stores(): readonly Store[] {
    return this.connections.all
      .filter((connection) => this.sagas.of(connection).length > 0)
      .map(({ store }) => store);
  }

  async #take({ message }: Delivery): Promise<DeliveryOutcome> {
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
    try {
      const store = await this.#keeperOf(mail.sagaId);
      // Forged replies must not be stored as mail of sagas that will never exist.
      const unheard = distrust !== null && (await store?.sagas.get(mail.sagaId)) === null;
      if (store === undefined || unheard) {
        this.logger.warn('A reply came for a saga that is not here; it was dropped.', {
          messageId: message.id,
          sagaId: mail.sagaId,
          step: message.headers[HEADERS.step],
        });
        this.work.replyDropped({ reason: distrust === null ? 'unknown_saga' : 'untrusted' });
        return { kind: 'done' };
      }
      await store.sagas.putMail([mail]);
      store.wakeUps.hint('saga');
      return { kind: 'done' };
    } catch (error) {
      return { kind: 'retry', delayMs: RETRY_MS, error };
    }
  }

  /**
   * Finds the store of the saga. If there is only one store, it is used without a look, because mail
   * may come before its saga.
   */
  async #keeperOf(sagaId: string): Promise<Store | undefined> {
    const [only, ...others] = this.#stores();
    if (others.length === 0) return only;
    for (const store of this.#stores()) {
      if ((await store.sagas.get(sagaId)) !== null) return store;
    }
    return undefined;
  }
}
