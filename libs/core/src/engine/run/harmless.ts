import type { Happening } from '../decide/index.js';
import { errorRecord, type TaskRef } from '../journal/index.js';
import { UnstorableResultError } from '../errors.js';

/**
 * The same news without what the store could not keep: a result that cannot be journaled is a failed
 * attempt whose effect may be there. Null: nothing of it can be left out.
 */
export function harmless(
  happening: Happening,
  transactional: (ref: TaskRef) => boolean,
): Happening | null {
  switch (happening.kind) {
    case 'settled': {
      const { result, step } = happening;
      const error = errorRecord(new UnstorableResultError(step, undefined));
      switch (result.kind) {
        case 'completed':
        case 'command': {
          // A command that could not be sent had no effect.
          const doubt = result.kind === 'completed' && !transactional(happening);
          const failed = { kind: 'failed', error, doubt, final: true } as const;
          return { ...happening, result: failed };
        }
        case 'failed':
          return { ...happening, result: { ...result, error } };
        case 'released':
          return null;
      }
      return null;
    }
    case 'late_success':
      return { ...happening, output: null };
    case 'mail':
      return { ...happening, mail: { ...happening.mail, data: unreadable(happening.mail.data) } };
    case 'taken':
    case 'refused':
      return null;
  }
}

/** A reply whose body cannot be kept is one that failed; other mail is ignored, with a trace. */
function unreadable(data: string): string {
  let letter: unknown;
  try {
    letter = JSON.parse(data);
  } catch {
    return '{}';
  }
  if (typeof letter !== 'object' || letter === null) return '{}';
  return JSON.stringify({
    ...letter,
    status: 'failed',
    payload: '{"reason":"unstorable"}',
    output: null,
  });
}
