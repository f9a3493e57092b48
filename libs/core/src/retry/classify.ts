import { isNonRetryable, isSagaRefusal, propertyOf } from '../errors/index.js';

/**
 * The class of a thrown value, which says whether to try again.
 *
 * - `refusal`: a business "no" ({@link SagaRefusal}); it is no fault and never retried.
 * - `final`: no further attempt can succeed.
 * - `conflict`: the database asks for the same work again (serialization failure, deadlock, lock not
 *   available); it is run again without counting an attempt.
 * - `aborted`: an `AbortError`. The code that aborted the attempt decides; if none did, the attempt is
 *   retried.
 * - `retryable`: any other value.
 */
export type ErrorClass = 'refusal' | 'final' | 'conflict' | 'aborted' | 'retryable';

/** PostgreSQL: serialization_failure, deadlock_detected, lock_not_available. */
const CONFLICTS: ReadonlySet<unknown> = new Set(['40001', '40P01', '55P03']);

/**
 * HTTP statuses 4xx that may pass by themselves: request timeout, conflict, too early, too many
 * requests.
 */
const PASSING: ReadonlySet<number> = new Set([408, 409, 425, 429]);

/** The HTTP status of an error, in the forms that Nest, wrappers of fetch and axios use. */
function httpStatus(error: object): number | undefined {
  const candidates = [
    propertyOf(error, 'status'),
    propertyOf(error, 'statusCode'),
    propertyOf(propertyOf(error, 'response'), 'status'),
  ];
  return candidates.find(
    (status): status is number => typeof status === 'number' && status >= 100 && status < 600,
  );
}

/**
 * Searches wrapped errors as well: TypeORM puts the driver's error into `driverError`, others into
 * `cause`.
 */
function isConflict(error: object): boolean {
  let current: unknown = error;
  // The search is limited, because a chain of causes may be a circle.
  for (let depth = 0; depth < 8 && typeof current === 'object' && current !== null; depth += 1) {
    if (CONFLICTS.has(propertyOf(current, 'code'))) return true;
    current = propertyOf(current, 'driverError') ?? propertyOf(current, 'cause');
  }
  return false;
}

/**
 * Classifies any value that a step or handler has thrown. This function never throws.
 *
 * @param reported - whether a connection of the store reported the error: a conflict in another
 *   database does not mean that this work can be run again
 */
export function classify(
  error: unknown,
  reported: (error: unknown) => boolean = () => true,
): ErrorClass {
  if (typeof error !== 'object' || error === null) return 'retryable';
  if (isSagaRefusal(error)) return 'refusal';
  if (isNonRetryable(error)) return 'final';
  if (isConflict(error) && reported(error)) return 'conflict';
  if (propertyOf(error, 'name') === 'AbortError') return 'aborted';
  const status = httpStatus(error);
  if (status !== undefined && status >= 400 && status < 500 && !PASSING.has(status)) return 'final';
  return 'retryable';
}
