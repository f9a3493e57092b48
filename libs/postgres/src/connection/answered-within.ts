import { NoAnswerError } from './connection.errors.js';

/** If a timer fires later than this, in ms, the process stood still, and not the connection. */
const LATE_MS = 100;
/** How long the process may then take to read answers that have arrived meanwhile, in ms. */
const GRACE_MS = 500;

/**
 * Returns the answer, or rejects with `NoAnswerError` if it has not come within the limit; `abandon` is
 * called first. A later answer is ignored.
 *
 * A process that stood still itself (a blocked event loop, SIGSTOP, a suspended machine) finds all its
 * timers due before it has read a byte of what was answered in time. So after a late timer the answer
 * gets another moment, and no timer decides before the data in the socket has been read.
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
    const settled = (): void => {
      stop();
      resolve(answer);
    };
    answer.then(settled, settled);
  });
}
