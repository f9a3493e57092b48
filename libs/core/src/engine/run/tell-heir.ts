import { lateMail } from '../decide/index.js';
import type { SagaFacts } from '../engine-observer.js';
import type { Inside } from './inside.js';

/**
 * A step succeeded that this process may not journal any more: whoever has its saga is told by mail,
 * or an effect would stand that is believed undone.
 */
export function tellHeir(
  inside: Inside,
  facts: SagaFacts,
  success: { readonly step: string; readonly attempt: number; readonly output: unknown },
): void {
  const { step, attempt, output } = success;
  const { sagaId } = facts;
  inside.observe((observer) => observer.lateEffect?.({ ...facts, step }));
  inside.sagas.putMail([lateMail(sagaId, step, attempt, output)]).catch((error: unknown) => {
    inside.logger.error(
      'A step ended with success after its saga was given away, and its owner could not be told.',
      { sagaId, step },
      error,
    );
  });
}
