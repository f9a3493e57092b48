import { NonRetryableError } from '../../errors/index.js';

/** A contract that is not valid, or a command that cannot be sent. No attempt can change that. */
export class InvalidContractError extends NonRetryableError {
  override readonly code = 'SAGAZ_INVALID_CONTRACT';

  constructor(
    readonly given: unknown,
    problem: string,
    remedy: string,
  ) {
    super(problem, { remedy });
  }
}

/** A payload or a reply does not match the schema of its contract. No attempt can change that. */
export class MessageValidationError extends NonRetryableError {
  override readonly code = 'SAGAZ_MESSAGE_INVALID';

  constructor(
    /** The contract's message type. */
    readonly type: string,
    readonly part: 'payload' | 'reply',
    /** The first problem that the schema found, with its path in front. */
    readonly issues: readonly string[],
  ) {
    super(`The ${part} of '${type}' does not match its schema: ${issues.join('; ')}.`, {
      remedy: `Send what the contract of '${type}' describes, or change the contract on both sides.`,
    });
  }
}
