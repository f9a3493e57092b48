import { LONGEST_MESSAGE_ID, SagazError, valueText } from '@sagaz/core';

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

/** The `id` function of `@Idempotent()` returned what cannot be the id of a message. */
export class InvalidMessageIdError extends SagazError {
  readonly code = 'SAGAZ_INVALID_MESSAGE_ID';

  constructor(
    readonly method: string,
    /** The number of characters; undefined: it is no text. */
    readonly length: number | undefined,
    given: unknown,
  ) {
    const found =
      length === undefined ? valueText(given) : `a text of ${String(length)} characters`;
    super(
      `The function 'id' of @Idempotent() of ${method} returned ${found} as the id of a message.`,
      `Return a text of 1 to ${String(LONGEST_MESSAGE_ID)} characters, or undefined if there is no id. Make a digest of a longer one: createHash('sha256').update(id).digest('hex').`,
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
