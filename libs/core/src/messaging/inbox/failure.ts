import { isSagazError, isStoreRefusal, propertyOf } from '../../errors/index.js';
import { classify } from '../../retry/index.js';

/**
 * The kinds of failed attempts, as the inbox treats them.
 * - `refusal`, `final`: as thrown by the handler.
 * - `conflict`: the database asks for the same work again; not counted.
 * - `busy`: another process or handler works on the message; not counted.
 * - `unknown`: the answer to COMMIT was lost; the inbox row shows whether it succeeded.
 * - `unavailable`: the database is away, or refuses what the inbox itself asks; not counted.
 * - `retryable`: everything else; counted.
 */
export type Failure =
  'refusal' | 'final' | 'conflict' | 'busy' | 'unknown' | 'unavailable' | 'retryable';

const BY_CODE: ReadonlyMap<unknown, Failure> = new Map<unknown, Failure>([
  ['SAGAZ_INBOX_BUSY', 'busy'],
  ['SAGAZ_LANDED_ROW_LOST', 'busy'],
  ['SAGAZ_HELD_KEY', 'busy'],
  ['SAGAZ_NO_CONNECTION', 'busy'],
  ['SAGAZ_LOCK_TIMEOUT', 'conflict'],
  ['SAGAZ_STALE_SNAPSHOT', 'conflict'],
  ['SAGAZ_COMMIT_UNKNOWN', 'unknown'],
  ['SAGAZ_DATABASE_UNREACHABLE', 'unavailable'],
  ['SAGAZ_NO_ANSWER', 'unavailable'],
]);

/**
 * SQLSTATE of a server that is away, shutting down or full: class 08 (connection), 57P01 to 57P03,
 * 53300. A socket's own error codes are not among them, because they may come from another server that
 *        the handler called, which is a failure of the handler.
 */
const AWAY = /^(08\d{3}|57P0[1-3]|53300)$/;

function codesOf(error: unknown): unknown[] {
  const codes: unknown[] = [];
  let current: unknown = error;
  // The loop is bounded, because a chain of causes may be circular.
  for (let depth = 0; depth < 8 && typeof current === 'object' && current !== null; depth += 1) {
    codes.push(propertyOf(current, 'code'));
    current = propertyOf(current, 'driverError') ?? propertyOf(current, 'cause');
  }
  return codes;
}

/**
 * Classifies the error of a failed attempt.
 *
 * @param reported whether a connection of the store reported the error. An error that another database
 * reported, a lost race for instance, is a failure of the handler.
 */
export function failureOf(
  error: unknown,
  reported: (error: unknown) => boolean = () => true,
): Failure {
  if (isStoreRefusal(error)) return 'unavailable';
  if (isSagazError(error)) {
    const known = BY_CODE.get(propertyOf(error, 'code'));
    if (known !== undefined) return known;
  }
  const kind = classify(error, reported);
  switch (kind) {
    case 'refusal':
    case 'final':
    case 'conflict':
      return kind;
    case 'aborted':
    case 'retryable':
      return codesOf(error).some((code) => typeof code === 'string' && AWAY.test(code)) &&
        reported(error)
        ? 'unavailable'
        : 'retryable';
  }
}

/** How often work whose transaction lost a race runs again at once. */
const RERUNS = 2;

/**
 * Whether a failed transaction is run again at once, with a new snapshot, after `reruns` such runs. A
 * lost race says nothing about the work.
 */
export function mayRunAgain(failure: Failure, reruns: number): boolean {
  return failure === 'conflict' && reruns < RERUNS;
}

/**
 * Runs a transaction, and runs it again at once when it has lost a race: at most twice, after its
 * rollback.
 *
 * @param once opens a transaction, works in it and commits; gets how often it has run before
 * @param reported whether a connection of the store reported the error, see {@link failureOf}
 */
export async function rerunningConflicts<T>(
  once: (reruns: number) => Promise<T>,
  reported: (error: unknown) => boolean,
): Promise<T> {
  for (let reruns = 0; ; reruns += 1) {
    try {
      return await once(reruns);
    } catch (error) {
      if (!mayRunAgain(failureOf(error, reported), reruns)) throw error;
    }
  }
}
