import { delayOf, type RetryPolicy } from '../../retry/index.js';

/**
 * Delays of retries that are not counted: the message is in work elsewhere, a race was lost, or the
 * database is away. Not the handler's own policy, whose first delay may be an hour.
 */
const PUT_OFF: RetryPolicy = {
  attempts: Number.POSITIVE_INFINITY,
  backoffMs: 200,
  factor: 2,
  maxDelayMs: 30_000,
  jitter: 0.5,
};

/** The delay before a retry that is not counted, in milliseconds. `times`: how many it makes in a row. */
export function putOffDelay(times: number, random?: () => number): number {
  return delayOf(PUT_OFF, times, random);
}
