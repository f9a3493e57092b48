import { SagazError } from '@sagaz/core';

/**
 * A message on one of Nest's own transports has no id by which a repeated delivery could be recognised.
 */
export class MissingMessageIdError extends SagazError {
  readonly code = 'SAGAZ_MISSING_MESSAGE_ID';

  constructor(
    readonly method: string,
    readonly transport: string,
  ) {
    super(
      `${method} got a message over ${transport} without an id, so a repeated delivery could not be told from a new message.`,
      "Send CloudEvents (header 'ce_id'), or AMQP's messageId property, or give @Idempotent an 'id' function that reads one.",
    );
  }
}

/** `@Idempotent()` is on a method where it cannot work. */
export class IdempotentSetupError extends SagazError {
  readonly code = 'SAGAZ_IDEMPOTENT_SETUP';

  constructor(
    readonly method: string,
    problem: string,
    remedy: string,
  ) {
    super(`@Idempotent() of ${method}: ${problem}`, remedy);
  }
}
