import type { Duration } from '@sagaz/core';
import type { ForeignMessage } from './foreign-message.js';

/** Marks a method with `@Idempotent`, and carries its options. */
export const IDEMPOTENT = Symbol.for('sagaz.idempotent');

/** Options of `@Idempotent`. */
export interface IdempotentOptions {
  /** The consumer group: each group handles a message once. Default: the service's name. */
  readonly group?: string;
  /** The connection whose transaction the handler works in. Default: the only one, or `default`. */
  readonly connection?: string;
  /**
   * How long the handler may take, from the beginning of its transaction; false: as long as it likes.
   * Then its transaction is taken from it and the transport is told that it failed. Default: the module's
   * `inbox.timeout`, 15 minutes.
   */
  readonly timeout?: Duration | false;
  /**
   * What makes a message recognisable, where it is neither a CloudEvent nor has AMQP's `messageId`.
   * Unique within the message's source.
   */
  readonly id?: (message: ForeignMessage, payload: unknown) => string | undefined;
}
