import { NoAnswerError } from './connection.errors.js';

/** A timer that fires later than this shows that the process stood still, and not the connection. */
const LATE_MS = 100;
/** What the process gets then to read what has come meanwhile. */
const GRACE_MS = 500;

/**
 * The answer, or `NoAnswerError` when it has not come within the limit; `abandon` is called first. What
 * the answer becomes afterwards is of no interest to anybody.
 *
 * A process that stood still itself (a blocked event loop, SIGSTOP, a suspended machine) finds all its
 * timers due before it has read a byte of what was answered in time. So a late timer gives the answer
 * another moment, and none decides before what lies in the socket has been read.
 */
export function answeredWithin<T>(
  limitMs: number,
  answer: Promise<T>,
  abandon: () => void,
): Promise<T> {
  return new Promise((resolve, reject) => {
    let timer: NodeJS.Timeout;
    let immediate: NodeJS.Immediate | undefined;
    const stop = (): void => {
      clearTimeout(timer);
      if (immediate !== undefined) clearImmediate(immediate);
    };
    const arm = (ms: number): void => {
      const dueAt = performance.now() + ms;
      timer = setTimeout(() => {
        const late = performance.now() - dueAt > LATE_MS;
        immediate = setImmediate(() => {
          if (late) {
            arm(GRACE_MS);
            return;
          }
          abandon();
          reject(new NoAnswerError(limitMs));
        });
      }, ms);
    };
    arm(limitMs);
    answer.finally(stop).then(resolve, reject);
  });
}
