import { errorMessage, SagazError } from '../../errors/index.js';

/** A broker could not make a topic ready, so that nothing is published to it or consumed from it for now. */
export class TopicAwayError extends SagazError {
  readonly code = 'SAGAZ_TOPIC_AWAY';

  constructor(
    readonly topic: string,
    /** The name of the broker. */
    readonly broker: string,
    cause: unknown,
  ) {
    super(
      `The broker ${broker} has not made the topic '${topic}' ready: ${errorMessage(cause)}.`,
      'Make the topic at the broker, or give this process the right to; it is tried again by itself, and messages wait in the outbox until then.',
      { cause },
    );
  }
}
