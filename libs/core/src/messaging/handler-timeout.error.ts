import { SagazError } from '../errors/index.js';

/** A handler did not end within its time limit. Its transaction is not committed. */
export class HandlerTimeoutError extends SagazError {
  readonly code = 'SAGAZ_HANDLER_TIMEOUT';

  constructor(
    /** The message's type. */
    readonly type: string,
    /** The time limit, in milliseconds. */
    readonly timeoutMs: number,
    options: { readonly cause?: unknown } = {},
  ) {
    super(
      `The handler of '${type}' did not end within ${timeoutMs} ms.`,
      "Give every call that it makes a time limit of its own (AbortSignal of the message's context), or give the handler more time: timeout: '1h', or false for no limit.",
      options,
    );
  }
}
