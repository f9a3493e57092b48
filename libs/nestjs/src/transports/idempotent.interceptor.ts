import {
  Inject,
  Injectable,
  type CallHandler,
  type ExecutionContext,
  type NestInterceptor,
} from '@nestjs/common';
import {
  HandlerTimeoutError,
  HEADERS,
  inboxKeyOf,
  LONGEST_MESSAGE_ID,
  rerunningConflicts,
  settlesWithin,
  timeLimitsOf,
  type Clock,
  type InboxKey,
  type Logger,
  errorText,
} from '@sagaz/core';
import { defer, lastValueFrom, type Observable } from 'rxjs';
import { Connections, type Connection } from '../enlist/index.js';
import {
  HandlerObservers,
  inHandlerTransaction,
  timeLimitOf,
  withoutCommands,
  type ForeignOutcome,
} from '../handlers/index.js';
import { withLogFields } from '../logging/index.js';
import type { EffectiveOptions } from '../options/index.js';
import { withHeaders, withTraceOf } from '../outbox/index.js';
import { SAGAZ_CLOCK, SAGAZ_LOGGER, SAGAZ_OPTIONS } from '../tokens/index.js';
import { declaredPatternOf } from './declared-patterns.js';
import { IdempotentSetupError, InvalidMessageIdError, MissingMessageIdError } from './errors.js';
import { acknowledgerOf, foreignMessageOf, type ForeignMessage } from './foreign-message.js';
import { IDEMPOTENT, type IdempotentOptions } from './idempotent-metadata.js';
import { IdempotentRefusals } from './idempotent-refusals.js';
import { payloadCopy } from './payload-copy.js';

/** How long a delivery waits for another process that works on the same message, in ms. */
const WAIT_MS = 1_000;
/**
 * The pause before a message is put back, in ms. RabbitMQ delivers it again at once, so without a pause
 * a failing message would be repeated as fast as possible.
 */
const REQUEUE_AFTER_MS = 1_000;

interface Handled {
  readonly fresh: boolean;
  readonly value?: unknown;
}

/** Puts a handler of Nest's own transports into a transaction with its inbox row. */
@Injectable()
export class IdempotentInterceptor implements NestInterceptor {
  constructor(
    @Inject(SAGAZ_OPTIONS) private readonly options: EffectiveOptions,
    @Inject(SAGAZ_CLOCK) private readonly clock: Clock,
    @Inject(SAGAZ_LOGGER) private readonly logger: Logger,
    @Inject(Connections) private readonly connections: Connections,
    @Inject(HandlerObservers) private readonly observers: HandlerObservers,
    @Inject(IdempotentRefusals) private readonly refusals: IdempotentRefusals,
  ) {}

  intercept(context: ExecutionContext, next: CallHandler): Observable<unknown> {
    const method = `${context.getClass().name}.${context.getHandler().name}`;
    const given: unknown = context.switchToRpc().getContext();
    const message = context.getType() === 'rpc' ? foreignMessageOf(given) : undefined;
    if (message === undefined) {
      throw new IdempotentSetupError(
        method,
        'it was called by something other than the Kafka or RabbitMQ transport of Nest.',
        'Remove @Idempotent(), or move the method to one of these transports.',
      );
    }
    const declared = declaredPatternOf(context.getHandler(), message.pattern);
    const options = (Reflect.getMetadata(IDEMPOTENT, context.getHandler()) ??
      {}) as IdempotentOptions;
    const args = context.getArgs<[unknown]>();
    const acknowledger = acknowledgerOf(given);
    return defer(async () => {
      try {
        const connection = this.#connectionOf(options);
        const value = await this.refusals.run(connection.name, method, () =>
          this.#handle(method, message, declared, connection, options, args, next),
        );
        acknowledger?.ack();
        return value;
      } catch (error) {
        if (acknowledger !== undefined) this.#requeueSoon(method, acknowledger.requeue);
        throw error;
      }
    });
  }

  #connectionOf({ connection }: IdempotentOptions): Connection {
    return connection === undefined ? this.connections.main : this.connections.get(connection);
  }

  async #handle(
    method: string,
    message: ForeignMessage,
    declared: string | undefined,
    connection: Connection,
    options: IdempotentOptions,
    args: [unknown],
    next: CallHandler,
  ): Promise<unknown> {
    const id = idOf(method, message, options, args[0]);
    const { headers, source, pattern } = message;
    const group = options.group ?? this.options.service;
    const key = inboxKeyOf(group, { tenant: '', source, id });
    const began = this.clock.now();
    const ended = (outcome: ForeignOutcome): void => {
      const durationMs = this.clock.now() - began;
      this.observers.foreignEnded({ group, pattern, declared, outcome, durationMs });
    };
    try {
      const { fresh, value } = await withLogFields({ messageId: id, messageType: pattern }, () =>
        withTraceOf(headers, () =>
          withHeaders(
            {
              [HEADERS.causationId]: id,
              [HEADERS.correlationId]: headers[HEADERS.correlationId] ?? id,
            },
            () => this.#inTransactions(connection, key, pattern, options, args, next),
          ),
        ),
      );
      ended(fresh ? 'committed' : 'duplicate');
      return value;
    } catch (error) {
      ended('failed');
      throw error;
    }
  }

  /** Runs the handler again at once, a few times, when its transaction has lost a race. */
  #inTransactions(
    connection: Connection,
    key: InboxKey,
    pattern: string,
    { timeout }: IdempotentOptions,
    args: [unknown],
    next: CallHandler,
  ): Promise<Handled> {
    const limitMs = timeLimitOf(timeout, this.options.inbox.timeout);
    const payload = payloadCopy(args[0]);
    return rerunningConflicts(
      (reruns) => {
        // Pipes and the handler read their arguments from this array when they are called.
        if (reruns > 0) args[0] = payloadCopy(payload);
        return this.#inTransaction(connection, key, pattern, limitMs, next);
      },
      (error) => connection.store.transactions.reported(error),
    );
  }

  async #inTransaction(
    connection: Connection,
    key: InboxKey,
    pattern: string,
    limitMs: number | null,
    next: CallHandler,
  ): Promise<Handled> {
    const { inbox, transactions } = connection.store;
    let stopBound = (): void => undefined;
    try {
      return await connection.run(async ({ transaction, manager }) => {
        const handling = (async (): Promise<Handled> => {
          // The inbox row is claimed first, as in every handler, because a transaction that holds
          // business rows must not wait for the inbox row.
          const { idleMs } = timeLimitsOf({ timeoutMs: limitMs });
          const claim = await inbox.claim(
            key,
            transaction,
            WAIT_MS,
            idleMs === undefined ? {} : { idleMs },
          );
          if (claim !== 'new') return { fresh: false };
          const value = await inHandlerTransaction(manager, () =>
            withoutCommands(pattern, () =>
              lastValueFrom<unknown, undefined>(next.handle(), { defaultValue: undefined }),
            ),
          );
          return { fresh: true, value };
        })();
        if (limitMs === null) return handling;
        if (await settlesWithin(handling, this.clock, limitMs)) {
          // COMMIT and ROLLBACK wait for statements that the handler did not await, and one may hang.
          const bound = this.clock.after(limitMs, () => transactions.abandon(transaction));
          stopBound = () => bound.cancel();
          return handling;
        }
        // The handler is not awaited any more. Its transaction is abandoned, and the code that opened
        // it rolls it back.
        transactions.abandon(transaction);
        throw new HandlerTimeoutError(pattern, limitMs);
      });
    } finally {
      stopBound();
    }
  }

  #requeueSoon(method: string, requeue: () => void): void {
    // While the store refuses the method's transactions, its messages come back spread out after the pause.
    const pauseMs = this.refusals.pauseLeftMs(method) * (1 + Math.random());
    this.clock.after(Math.max(REQUEUE_AFTER_MS, Math.ceil(pauseMs)), () => {
      try {
        requeue();
      } catch (error) {
        // The channel is closed, which returns the message to the queue.
        this.logger.debug(`A message of ${method} went back to its queue with its channel.`, {
          error: errorText(error),
        });
      }
    });
  }
}

/**
 * The id by which a repeated delivery is recognised. A long id of the message itself is no fault of this
 * application, and is recognised by its digest.
 *
 * @throws MissingMessageIdError, InvalidMessageIdError
 */
function idOf(
  method: string,
  message: ForeignMessage,
  options: IdempotentOptions,
  payload: unknown,
): string {
  const id: unknown = options.id === undefined ? message.id : options.id(message, payload);
  if (id === undefined || id === null || id === '') {
    throw new MissingMessageIdError(method, message.transport);
  }
  if (typeof id !== 'string') throw new InvalidMessageIdError(method, undefined, id);
  if (options.id !== undefined && id.length > LONGEST_MESSAGE_ID) {
    throw new InvalidMessageIdError(method, id.length, id);
  }
  return id;
}
