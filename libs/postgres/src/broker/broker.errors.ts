import { SagazError } from '@sagaz/core';

/** The broker was closed; the application is shutting down. */
export class BrokerClosedError extends SagazError {
  readonly code = 'SAGAZ_BROKER_CLOSED';

  constructor(attempt: string) {
    super(
      `It was tried to ${attempt} a broker that is closed.`,
      'Close what publishes and subscribes before the broker.',
    );
  }
}
