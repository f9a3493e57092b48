import { CAUSE_TOLD, SagazError, errorMessage, redact } from '@sagaz/core';

/** This process has not been connected to its broker yet. */
export class BrokerAbsentError extends SagazError {
  readonly code = 'SAGAZ_BROKER_ABSENT';
  // The cause may quote the connection string.
  readonly [CAUSE_TOLD] = true;

  constructor(
    /** The name of the broker's driver, for example `postgres`. */
    readonly broker: string,
    /**
     * - `away`: nobody answers; it passes by itself when the broker is there.
     * - `refused`: the last try was refused, by a wrong password or a missing schema for instance, until
     *   a person changes something.
     */
    readonly failure: 'away' | 'refused',
    /** Milliseconds since the first try to connect began. */
    readonly waitedMs: number,
    /** Why the last try failed; undefined: the first one has not been answered yet. */
    cause?: unknown,
  ) {
    const reason = cause === undefined ? 'it has not answered yet' : redact(errorMessage(cause));
    super(
      `This process has had no connection to the broker ${broker} for ${Math.round(waitedMs / 1_000)} s: ${reason}`,
      failure === 'refused'
        ? 'Correct what it refuses; the connection is tried again by itself, and the process need not be restarted.'
        : 'Start the broker, or correct its address; the connection is tried again by itself, and messages wait in the outbox until then.',
      cause === undefined ? {} : { cause },
    );
  }
}
