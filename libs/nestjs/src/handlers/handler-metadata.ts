import type {
  CommandContract,
  Duration,
  EventContract,
  MessageContract,
  RetryOptions,
} from '@sagaz/core';

/** The transport of Sagaz. Registered, because two copies of this package may meet in one process. */
export const SAGAZ_TRANSPORT = Symbol.for('sagaz.transport');
/** Marks the method of a handler, so that handlers are found even if no transport is connected. */
export const HANDLER_METADATA = Symbol.for('sagaz.handler');

/** Options of `@IdempotentHandler`. */
export interface HandlerOptions {
  /** The consumer group. In each group, one handler gets each message. Default: the service's name. */
  readonly group?: string;
  /** How often and how soon a failed message is tried again. Default: the module's `inbox.retry`. */
  readonly retry?: RetryOptions;
  /**
   * How long the handler may take, from the beginning of its transaction: `'30s'`, a number of
   * milliseconds, or false for no limit. After that the signal of its `MessageContext` is aborted, its
   * work does not commit any more, an attempt is counted, and its place is free for messages of other
   * keys. Default: the module's `inbox.timeout`, 15 minutes.
   */
  readonly timeout?: Duration | false;
  /**
   * How many crashes of the process make a message a dead letter. Only crashes in which the message was
   * handled alone in its process count. A whole number from 1 to 100. Default: the module's
   * `inbox.maxCrashes`, 3.
   */
  readonly maxCrashes?: number;
  /**
   * What becomes of the later messages of its key where a message of it is a dead letter: they go on (`skip`), or wait
   * in the landing queue until it is replayed or discarded (`block`). Only for events: the saga that waits for
   * the answer to a later command would wait for a person. Default `'skip'`.
   */
  readonly onDead?: 'skip' | 'block';
  /** The connection whose transaction the handler works in. Default: the only one, or `default`. */
  readonly connection?: string;
}

/** The metadata that the decorator stores for the transport. */
export interface HandlerMetadata extends HandlerOptions {
  readonly contract: MessageContract;
  /** `StockController.reserve`, for errors and logs. */
  readonly method: string;
}

/** The payload a handler of the contract is given. */
export type PayloadFor<C> =
  C extends CommandContract<infer Payload, infer _Reply>
    ? Payload
    : C extends EventContract<infer Payload>
      ? Payload
      : never;

/** The value that a handler of the contract must return; for an event: anything. */
export type ReplyFor<C> = C extends CommandContract<infer _Payload, infer Reply> ? Reply : unknown;

/** Finds the metadata in the extras that Nest keeps with a pattern. */
export function handlerMetadataOf(
  extras: Readonly<Record<string, unknown>> | undefined,
): HandlerMetadata | undefined {
  return extras?.['sagaz'] as HandlerMetadata | undefined;
}
