import { asError } from '../../errors/index.js';

/**
 * Settles as `work` does, or rejects with the reason of the signal as soon as that is aborted. The work
 * goes on then, and nobody waits for it.
 */
export async function whileWanted<T>(signal: AbortSignal, work: Promise<T>): Promise<T> {
  let leave = (): void => undefined;
  const unwanted = new Promise<never>((_resolve, reject) => {
    leave = () => reject(asError(signal.reason));
  });
  signal.addEventListener('abort', leave, { once: true });
  if (signal.aborted) leave();
  try {
    return await Promise.race([work, unwanted]);
  } finally {
    signal.removeEventListener('abort', leave);
  }
}
