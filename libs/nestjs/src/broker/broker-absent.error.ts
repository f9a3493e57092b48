import { CAUSE_TOLD, SagazError, errorMessage, redact } from '@sagaz/core';

/** This process has not been connected to its broker yet. */
export class BrokerAbsentError extends SagazError {
  readonly code = 'SAGAZ_BROKER_ABSENT';
  // The message leaves out the cause, which may have the connection string in it.
  readonly [CAUSE_TOLD] = true;

  constructor(
    /** The name of the broker's driver, for example `postgres`. */
    readonly broker: string,
    /**
     * - `away`: the broker does not answer; this passes by itself when the broker is there.
     * - `refused`: the last try was refused until a person changes something, for instance because of
     *   a wrong password or a missing schema.
     */
    readonly failure: 'away' | 'refused',
    /** Milliseconds since the first try to connect began. */
    readonly waitedMs: number,
    /** The error of the last try; undefined if the first try has not been answered yet. */
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
