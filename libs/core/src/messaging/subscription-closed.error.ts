import { SagazError } from '../errors/index.js';

/**
 * The reason of the signal of a delivery whose subscription closes for good: the process gives the
 * message back in good order. A signal with any other reason says that the right to work on the message
 * was lost, or that its time is over.
 */
export class SubscriptionClosedError extends SagazError {
  readonly code = 'SAGAZ_SUBSCRIPTION_CLOSED';

  constructor() {
    super(
      'The subscription closed while the message was handled, so the message is given back.',
      'Stop the work: the message is delivered again, here or in another process.',
    );
  }
}
