import { lateMail, type AttemptResult } from '../decide/index.js';
import { taskRef, type TaskRef } from '../journal/index.js';
import type { SagaFacts } from '../facts/index.js';
import type { Attempt } from './attempt.js';
import type { EngineContext } from './engine-context.js';
import { isTransactional } from './permit-of.js';
import type { SagaRun } from './saga-run.js';

const FIRST_PAUSE_MS = 100;
const LONGEST_PAUSE_MS = 30_000;
/**
 * Some eight hours: an outage ends before that, and mail that the store refuses after that time it
 * would always refuse.
 */
const MOST_TRIES = 1_000;

/**
 * Reports by mail that a step succeeded whose result this process may not journal any more. The engine
 * that owns the saga now learns from that mail that the step had its effect; without it, the effect
 * would stay although the journal says that it was undone. A process that lost its sagas has often lost
 * the store too, so the mail is put again and again until the store takes it or this engine is closed.
 */
function reportLateEffect(
  engine: EngineContext,
  saga: SagaFacts,
  success: TaskRef & { readonly attempt: number; readonly output: unknown },
): void {
  const { step, attempt, output } = success;
  const { sagaId, saga: name, version } = saga;
  const { facts } = engine;
  if (facts.wants('late_effect'))
    facts.tell({ kind: 'late_effect', ...saga, ...taskRef(success), attempt });
  const letter = lateMail(sagaId, { name, version }, success, attempt, output);
  const put = (tries: number): void => {
    const told = engine.sagas.putMail([letter]).then(() => engine.mailWaits());
    told.catch((error: unknown) => {
      // Logged at the first failure, since the process may end before the mail is written.
      if (tries === 1 || tries === MOST_TRIES) {
        engine.logger.error(
          'A step succeeded after another engine had taken its saga over, and the mail that reports this could not be written.',
          { sagaId, step, triedAgain: tries < MOST_TRIES },
          error,
        );
      }
      if (tries === MOST_TRIES) return;
      const pauseMs = Math.min(FIRST_PAUSE_MS * 2 ** (tries - 1), LONGEST_PAUSE_MS);
      engine.timers.set(pauseMs, () => put(tries + 1));
    });
  };
  put(1);
}

/** Reports successes that no transition took. Unreported, an effect would stay that counts as undone. */
export function reportUntaken(
  engine: EngineContext,
  { definition, facts }: SagaRun,
  successes: Iterable<Parameters<typeof reportLateEffect>[2]>,
): void {
  for (const success of successes) {
    if (!isTransactional(definition, success)) reportLateEffect(engine, facts, success);
  }
}

/** Takes the end of an attempt whose saga this process does not run any more, and reports its effect. */
export function endedTooLate(attempt: Attempt, result: AttemptResult): void {
  const { engine, run, start, transactional } = attempt;
  engine.orphanMoved(attempt);
  if (result.kind !== 'completed' || transactional) return;
  const { output } = result;
  reportLateEffect(engine, run.facts, { ...taskRef(start), attempt: start.attempt, output });
}
