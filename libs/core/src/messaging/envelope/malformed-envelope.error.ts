import { SagazError } from '../../errors/index.js';

/** A message lacks an attribute that makes it a CloudEvent. */
export class MalformedEnvelopeError extends SagazError {
  readonly code = 'SAGAZ_MALFORMED_ENVELOPE';

  constructor(
    readonly topic: string,
    /** The header that is missing or wrong. */
    readonly header: string,
    readonly given: string | undefined,
  ) {
    super(
      `A message of the topic "${topic}" ${given === undefined ? `has no header ${header}` : `has ${JSON.stringify(given)} in its header ${header}`}.`,
      'Let its producer send CloudEvents 1.0 in binary mode, with an id, a type and a source.',
    );
  }
}
