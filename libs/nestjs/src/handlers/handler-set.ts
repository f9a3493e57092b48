import { Inject, Injectable } from '@nestjs/common';
import type { MessageHandler } from '@nestjs/microservices';
import { jsonCodec, parseRetry, type InboxHandler, type MessageContract } from '@sagaz/core';
import { Connections, type Connection } from '../enlist/index.js';
import type { EffectiveOptions } from '../options/index.js';
import { SAGAZ_OPTIONS } from '../tokens/index.js';
import { DuplicateHandlerError } from './errors.js';
import type { HandlerMetadata } from './handler-metadata.js';
import { timeLimitOf } from './time-limit.js';

/** A method that handles the messages of one contract for one group. */
export interface DeclaredHandler {
  readonly contract: MessageContract;
  readonly inbox: InboxHandler;
  readonly connection: Connection;
  readonly method: string;
  /** Nest's pipeline around the method. */
  readonly invoke: MessageHandler;
}

/** The handlers of this application, by group and message type. */
@Injectable()
export class HandlerSet {
  readonly #groups = new Map<string, Map<string, DeclaredHandler>>();

  constructor(
    @Inject(SAGAZ_OPTIONS) private readonly options: EffectiveOptions,
    @Inject(Connections) private readonly connections: Connections,
  ) {}

  /**
   * @throws DuplicateHandlerError, UnknownDataSourceError, InvalidRetryPolicyError
   * @throws TransactionHostError, PoolTooSmallError when its repositories could not join the
   * transaction
   */
  add(metadata: HandlerMetadata, invoke: MessageHandler): void {
    const { contract, method } = metadata;
    const group = metadata.group ?? this.options.service;
    let handlers = this.#groups.get(group);
    if (handlers === undefined) {
      handlers = new Map();
      this.#groups.set(group, handlers);
    }
    const other = handlers.get(contract.type);
    if (other !== undefined) {
      throw new DuplicateHandlerError(contract.type, group, [other.method, method]);
    }
    const connection =
      metadata.connection === undefined
        ? this.connections.main
        : this.connections.get(metadata.connection);
    // Checked now, because otherwise the first message would fail and use up its attempts.
    if (this.options.roles.consume) connection.assertJoinable();
    handlers.set(contract.type, {
      contract,
      method,
      invoke,
      connection,
      inbox: {
        group,
        type: contract.type,
        retry: parseRetry(metadata.retry, this.options.inbox.retry),
        timeoutMs: timeLimitOf(metadata.timeout, this.options.inbox.timeout),
        maxCrashes: metadata.maxCrashes ?? this.options.inbox.maxCrashes,
        blocks: metadata.onDead === 'block',
        codec: contract.kind === 'command' ? contract.replyCodec : jsonCodec,
      },
    });
  }

  get groups(): readonly string[] {
    return [...this.#groups.keys()];
  }

  get all(): readonly DeclaredHandler[] {
    return [...this.#groups.values()].flatMap((handlers) => [...handlers.values()]);
  }

  topicsOf(group: string): readonly string[] {
    return [...new Set(this.#handlersOf(group).map(({ contract }) => contract.topic))];
  }

  find(group: string, type: string): DeclaredHandler | undefined {
    return this.#groups.get(group)?.get(type);
  }

  /** Some handler of the group on the connection. */
  on(connection: Connection, group: string): DeclaredHandler | undefined {
    return this.#handlersOf(group).find((handler) => handler.connection === connection);
  }

  /**
   * A handler of the group for commands of the topic. The commands of a topic are addressed to the
   * group that has such a handler, and not to one that only listens to events of the topic.
   */
  commandHandlerOf(group: string, topic: string): DeclaredHandler | undefined {
    return this.#handlersOf(group).find(
      ({ contract }) => contract.kind === 'command' && contract.topic === topic,
    );
  }

  #handlersOf(group: string): readonly DeclaredHandler[] {
    return [...(this.#groups.get(group)?.values() ?? [])];
  }
}
