import type { SagaEvent } from '../decide/index.js';
import { errorRecord, type TaskRef } from '../journal/index.js';
import { UnstorableResultError } from '../errors.js';

/**
 * The same event without the data that the store could not keep: a result that cannot be journaled
 * becomes a failed attempt whose effect may be there. Null: the event has no data to leave out.
 */
export function withoutUnstorableData(
  event: SagaEvent,
  transactional: (ref: TaskRef) => boolean,
): SagaEvent | null {
  switch (event.kind) {
    case 'settled': {
      const { result, step } = event;
      const error = errorRecord(new UnstorableResultError(step, undefined));
      switch (result.kind) {
        case 'completed':
        case 'waits': {
          // A command that could not be sent had no effect.
          const doubt = result.kind === 'completed' && !transactional(event);
          const failed = { kind: 'failed', error, doubt, final: true } as const;
          return { ...event, result: failed };
        }
        case 'failed':
          return { ...event, result: { ...result, error } };
        case 'released':
          return null;
      }
      return null;
    }
    case 'late_success':
      return { ...event, output: null };
    case 'mail':
      return { ...event, mail: { ...event.mail, data: unreadable(event.mail.data) } };
    case 'adopted':
    case 'refused':
      return null;
  }
}

/**
 * The data of mail without the body of a reply and the output of a late success; the reply then counts
 * as failed. Data that is no JSON object becomes empty, so that the mail is ignored and leaves an entry
 * in the journal.
 */
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
