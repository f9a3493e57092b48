import { NonRetryableError, SagazError } from '@sagaz/core';

/** Two methods declare that they handle the same messages for the same consumer group. */
export class DuplicateHandlerError extends SagazError {
  readonly code = 'SAGAZ_DUPLICATE_HANDLER';

  constructor(
    readonly type: string,
    readonly group: string,
    readonly methods: readonly [string, string],
  ) {
    super(
      `${methods[0]} and ${methods[1]} both handle '${type}' for the consumer group '${group}': each message would reach only one of them.`,
      'Put both into one method, or give one of them another group.',
    );
  }
}

/** An `@IdempotentHandler` was called by something other than the transport of Sagaz. */
export class NotDeliveredError extends SagazError {
  readonly code = 'SAGAZ_NOT_DELIVERED';

  constructor(
    readonly controller: string,
    readonly method: string,
  ) {
    super(
      `${controller}.${method} is an @IdempotentHandler and was called without a message.`,
      'Let only the transport of connectSagaz(app) call it; move what others need into a service.',
    );
  }
}

/** A handler cannot work as it is declared, or needs an option that the module was not given. */
export class HandlerSetupError extends SagazError {
  readonly code = 'SAGAZ_HANDLER_SETUP';

  constructor(
    readonly methods: readonly string[],
    problem: string,
    remedy: string,
  ) {
    super(`${methods.join(', ')}: ${problem}`, remedy);
  }
}

/**
 * A command came to the group that handles its topic, or a message is in the landing queue of the group, and no
 * method handles its type.
 */
export class UnknownCommandError extends NonRetryableError {
  override readonly code = 'SAGAZ_UNKNOWN_COMMAND';

  constructor(
    readonly type: string,
    readonly group: string,
  ) {
    super(`The consumer group '${group}' has no handler for '${type}'.`, {
      remedy: `Add a method with @IdempotentHandler for '${type}', deploy it, and replay the dead letter.`,
    });
  }
}

/** A handler made a command with `command(…)`, which only a step of a saga can send. */
export class CommandInHandlerError extends NonRetryableError {
  override readonly code = 'SAGAZ_COMMAND_IN_HANDLER';

  constructor(
    /** The type of the handled message. */
    readonly type: string,
    /** The command's type. */
    readonly command: string,
  ) {
    super(
      `The handler of '${type}' made the command '${command}' with command(…), which only a step of a saga can send, by returning it.`,
      {
        remedy: `Publish it instead: outbox.publish(contract, payload, { key }), or start a saga with a step that returns it.`,
      },
    );
  }
}
