import { SagazError } from '../../errors/index.js';

/** A message on a replies topic is no reply. */
export class MalformedReplyError extends SagazError {
  readonly code = 'SAGAZ_MALFORMED_REPLY';

  constructor(
    readonly messageId: string,
    readonly part: string,
    given: string | undefined,
    options: { readonly cause?: unknown } = {},
  ) {
    super(
      `The message ${messageId} is no reply: its ${part} is ${given === undefined ? 'missing' : JSON.stringify(given)}.`,
      'Send replies by returning a value from a handler of Sagaz, and nothing else to a replies topic.',
      options,
    );
  }
}
