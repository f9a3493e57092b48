import { SagazError } from '@sagaz/core';

/** The broker was used after it was closed, as a rule because the application shuts down. */
export class BrokerClosedError extends SagazError {
  readonly code = 'SAGAZ_BROKER_CLOSED';

  constructor(attempt: string) {
    super(
      `An attempt to ${attempt} the broker failed, because it is closed.`,
      'Close relays and consumers before the broker.',
    );
  }
}
