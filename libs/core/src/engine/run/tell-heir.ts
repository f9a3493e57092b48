import { lateMail } from '../decide/index.js';
import type { TaskRef } from '../journal/index.js';
import type { SagaFacts } from '../engine-observer.js';
import type { Inside } from './inside.js';

const FIRST_PAUSE_MS = 100;
const LONGEST_PAUSE_MS = 30_000;
/** Some eight hours: an outage ends before that, and what the store refuses for good it refuses still. */
const MOST_TRIES = 1_000;

/**
 * A step succeeded that this process may not journal any more: whoever has its saga is told by mail,
 * or an effect would stand that is believed undone. Who lost its sagas has often lost the store too,
 * so it is told again until the store answers, or this engine is closed.
 */
export function tellHeir(
  inside: Inside,
  facts: SagaFacts,
  success: TaskRef & { readonly attempt: number; readonly output: unknown },
): void {
  const { role, step, attempt, output } = success;
  const { sagaId } = facts;
  inside.observe((observer) => observer.lateEffect?.({ ...facts, step }));
  const letter = lateMail(sagaId, { role, step }, attempt, output);
  const put = (tries: number): void => {
    const told = inside.sagas.putMail([letter]).then(() => inside.mailWaits());
    told.catch((error: unknown) => {
      // Said at once, since the process may end before anybody could be told.
      if (tries === 1 || tries === MOST_TRIES) {
        inside.logger.error(
          'A step ended with success after its saga was given away, and its owner could not be told.',
          { sagaId, step, triedAgain: tries < MOST_TRIES },
          error,
        );
      }
      if (tries === MOST_TRIES) return;
      const pauseMs = Math.min(FIRST_PAUSE_MS * 2 ** (tries - 1), LONGEST_PAUSE_MS);
      inside.alarms.set(pauseMs, () => put(tries + 1));
    });
  };
  put(1);
}
