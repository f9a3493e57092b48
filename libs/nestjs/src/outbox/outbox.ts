import { Inject, Injectable } from '@nestjs/common';
import { requireObject, type Clock, type MessageContract } from '@sagaz/core';
import type { EntityManager } from 'typeorm';
import { Connections, nextOrdinal, type TransactionTarget } from '../enlist/index.js';
import { SAGAZ_CLOCK, SAGAZ_OPTIONS } from '../tokens/index.js';
import type { EffectiveOptions } from '../options/index.js';
import { InvalidPublishError } from './errors.js';
import { draftMessage, type MessageOptions } from './message-draft.js';
import { absentManager } from './absent-manager.js';

export interface PublishOptions extends MessageOptions, TransactionTarget {
  /**
   * Publishes at once in a transaction of its own, even if that of the caller is rolled back. For
   * messages that do not depend on other writes; `connection` then names the outbox.
   */
  readonly standalone?: boolean;
}

/**
 * Publishes messages if and only if the transaction commits in which they were published. They are
 * written to the outbox in one statement just before the commit, and reach the broker afterwards, at
 * least once, with an id that never changes.
 */
@Injectable()
export class Outbox {
  constructor(
    @Inject(Connections) private readonly connections: Connections,
    @Inject(SAGAZ_OPTIONS) private readonly options: Pick<EffectiveOptions, 'service'>,
    @Inject(SAGAZ_CLOCK) private readonly clock: Clock,
  ) {}

  /**
   * Publishes a message in the transaction of `manager`, else in the one ambient transaction.
   * Returns the message's id.
   *
   * ```ts
   * await outbox.publish(OrderConfirmed, { orderId }, { key: orderId });
   * ```
   *
   * @throws NoTransactionError when there is no transaction
   * @throws AmbiguousTransactionError when several DataSources have one and the call names none
   * @throws UnknownDataSourceError, UnserializableValueError, MessageValidationError, InvalidHeaderError
   */
  async publish<Payload>(
    contract: MessageContract<Payload>,
    payload: NoInfer<Payload>,
    options: PublishOptions = {},
  ): Promise<string> {
    // The number is drawn at the call, so that messages whose publish is not awaited are still sent in
    // the order of the calls.
    const ordinal = nextOrdinal();
    const action = `publish ${contract.type}`;
    const draft = draftMessage(contract, payload, options, this.clock);
    if (options.standalone === true) {
      if (options.manager !== undefined) {
        throw new InvalidPublishError(
          contract.type,
          'standalone means a transaction of its own, and a manager was given',
          'Leave one of the two out.',
        );
      }
      const { store } = this.#outboxOf(options.connection);
      await store.outbox.append([await draft.seal(this.options.service)]);
      return draft.id;
    }
    const { enlisted } = this.connections.require(options, action);
    await enlisted.publish(ordinal, await draft.seal(this.options.service));
    return draft.id;
  }

  /**
   * Runs `work` in a transaction that messages and repositories join: the ambient one if there is
   * one, else a new one. For code that has no `@Transactional()`.
   */
  async transaction<T>(
    work: (manager: EntityManager) => Promise<T>,
    options: { readonly connection?: string } = {},
  ): Promise<T> {
    requireObject('Outbox.transaction', options, 'Give { connection }, or nothing.');
    const chosen = this.#outboxOf(options.connection);
    return chosen.run(({ manager }) => work(manager ?? absentManager(chosen.name)), { join: true });
  }

  #outboxOf(name: string | undefined) {
    return name === undefined ? this.connections.main : this.connections.get(name);
  }
}
