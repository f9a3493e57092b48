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
   * What makes a message recognisable, where it is neither a CloudEvent nor has AMQP's `messageId`.
   * Unique within the message's source.
   */
  readonly id?: (message: ForeignMessage, payload: unknown) => string | undefined;
}
