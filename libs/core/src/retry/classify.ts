import { isNonRetryable, isSagaRefusal, propertyOf } from '../errors/index.js';

/**
 * What to do about a thrown value.
 * - `refusal`: a business "no" ({@link SagaRefusal}); no fault, never retried.
 * - `final`: no further attempt can succeed.
 * - `conflict`: the database asks for the same work again (serialization failure, deadlock, lock not
 *   available); run it again without counting an attempt.
 * - `aborted`: an `AbortError`. Whoever aborted knows what it means; if nobody did, retry.
 * - `retryable`: everything else.
 */
export type ErrorClass = 'refusal' | 'final' | 'conflict' | 'aborted' | 'retryable';

/** PostgreSQL: serialization_failure, deadlock_detected, lock_not_available. */
const CONFLICTS: ReadonlySet<unknown> = new Set(['40001', '40P01', '55P03']);

/** 4xx that may pass by themselves: request timeout, conflict, too early, too many requests. */
const PASSING: ReadonlySet<number> = new Set([408, 409, 425, 429]);

/** The HTTP status an error carries, in the shapes of Nest, fetch wrappers and axios. */
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

/** Looks through wrappers: TypeORM puts the driver's error in `driverError`, others in `cause`. */
function isConflict(error: object): boolean {
  let current: unknown = error;
  // Bounded, because a chain of causes may be a circle.
  for (let depth = 0; depth < 8 && typeof current === 'object' && current !== null; depth += 1) {
    if (CONFLICTS.has(propertyOf(current, 'code'))) return true;
    current = propertyOf(current, 'driverError') ?? propertyOf(current, 'cause');
  }
  return false;
}

/**
 * Says what to do about whatever a step or handler threw. Never throws itself.
 *
 * @param reported whether a connection of the store reported the error: a conflict of another database
 * is none of the work that is run again.
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
