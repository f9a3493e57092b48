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
   * After that its transaction is rolled back, and the transport is told that the handler failed.
   * Default: the module's `inbox.timeout`, 15 minutes.
   */
  readonly timeout?: Duration | false;
  /**
   * Returns the id of a message that is not a CloudEvent and has no `messageId` of AMQP: a text of 1 to
   * 500 characters that is unique within the message's source. A longer one is refused with
   * `InvalidMessageIdError`; return a digest of it.
   */
  readonly id?: (message: ForeignMessage, payload: unknown) => string | undefined;
}
