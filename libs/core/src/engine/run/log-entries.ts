import { recordMessage } from '../../errors/index.js';
import { parseTraceParent } from '../../messaging/index.js';
import type { LogFields } from '../../ports/index.js';
import {
  taskText,
  type ErrorRecord,
  type Failure,
  type SagaEntry,
  type TraceHeaders,
} from '../journal/index.js';
import type { SagaFacts } from '../engine-observer.js';
import type { EngineContext } from './engine-context.js';

/**
 * Logs failures of a saga once they are in the journal, so that an operator sees which step failed and
 * why without knowing the saga's id beforehand.
 */
export function logEntries(
  { logger }: Pick<EngineContext, 'logger'>,
  { sagaId, saga }: SagaFacts,
  trace: TraceHeaders,
  entries: readonly SagaEntry[],
): void {
  // Only when a line is written, since most transitions write none.
  const of = (): LogFields => ({ sagaId, saga, ...traceOf(trace) });
  for (const entry of entries) {
    switch (entry.kind) {
      case 'attempt_failed':
      case 'failed':
      case 'unknown': {
        const { step, item, attempt, error } = entry;
        const what = `The ${taskText(entry)} of the saga '${saga}'`;
        const end =
          entry.kind === 'attempt_failed'
            ? `failed and is tried again in ${entry.delayMs} ms.`
            : entry.kind === 'failed'
              ? 'failed.'
              : 'is given up; it is unknown whether it had its effect.';
        const fields = {
          ...of(),
          step,
          ...(item === null ? {} : { item }),
          attempt,
          error: textOf(error),
        };
        // A refusal is a normal answer, and a step that was given up because another failed is a
        // consequence, so neither is a warning.
        if (error.reason !== undefined) logger.info(`${what} was refused.`, fields);
        else if (error.name === 'GivenUp') logger.info(`${what} ${end}`, fields);
        else logger.warn(`${what} ${end}`, fields);
        break;
      }
      case 'failing':
        logger.info(`The saga '${saga}' does not go on: ${causeOf(entry.failure)}.`, of());
        break;
      case 'compensating':
        logger.info(`The saga '${saga}' undoes what it did.`, of());
        break;
      case 'saga_ended':
        if (entry.status === 'completed') break;
        logger.info(`The saga '${saga}' ended as ${entry.status}.`, of());
        break;
      default:
        break;
    }
  }
}

/** The trace id, by which log lines of all services about one piece of work can be found. */
function traceOf({ traceparent }: TraceHeaders): { readonly traceId?: string } {
  const parent = parseTraceParent(traceparent);
  return parent === undefined ? {} : { traceId: parent.traceId };
}

function textOf(error: ErrorRecord): string {
  return `${error.name}: ${error.reason ?? recordMessage(error)}`;
}

function causeOf(failure: Failure): string {
  switch (failure.kind) {
    case 'step':
      return `its ${taskText({ ...failure, role: 'step' })} failed`;
    case 'cancelled':
      return `it was cancelled (${failure.reason})`;
    case 'deadline':
      return 'its deadline is over';
  }
}
