import { SagazError } from './sagaz-error.js';
import { isMarkedError } from './thrown-value.js';

const NON_RETRYABLE = Symbol.for('sagaz.non-retryable');

/**
 * Thrown by a step or a handler when no further attempt can succeed. A step fails with it at once,
 * and a message becomes a dead letter at once, whatever the retry policy says.
 */
export class NonRetryableError extends SagazError {
  readonly code: string = 'SAGAZ_NON_RETRYABLE';

  constructor(
    message: string,
    options: { readonly cause?: unknown; readonly remedy?: string } = {},
  ) {
    super(message, options.remedy ?? 'Remove the cause, then retry by hand.', options);
    // The text comes from the code that threw the error; a remedy of this library's would not fit it.
    if (options.remedy === undefined) this.message = message;
    markNonRetryable(this);
  }
}

/** Marks an error so that {@link isNonRetryable} is true of it. */
export function markNonRetryable(error: Error): void {
  Object.defineProperty(error, NON_RETRYABLE, { value: true });
}

/**
 * Whether an error says that no attempt can succeed; also true of errors of another copy of the
 * package.
 */
export function isNonRetryable(value: unknown): value is Error {
  return isMarkedError(value, NON_RETRYABLE);
}
