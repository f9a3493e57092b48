import { recordMessage, type ErrorRecord } from '../../errors/index.js';
import { parseTraceParent } from '../../messaging/index.js';
import type { LogFields, Logger } from '../../ports/index.js';
import { taskText, type Failure } from '../journal/index.js';
import type { FactOf, SagaFacts } from './engine-fact.js';
import { factHandlers, type FactListener } from './fact-handlers.js';

/**
 * Logs failures and what follows from them, so that an operator sees which step failed and why without
 * knowing the saga's id beforehand. What succeeds is not logged.
 */
export function factLog(logger: Logger): FactListener {
  return factHandlers({
    task_failed: (fact) => logFailure(logger, fact),
    saga_failing: (fact) =>
      logger.info(
        `The saga '${fact.saga}' does not go on: ${causeOf(fact.failure)}.`,
        fieldsOf(fact),
      ),
    saga_compensating: (fact) =>
      logger.info(`The saga '${fact.saga}' undoes what it did.`, fieldsOf(fact)),
    saga_ended: (fact) => {
      if (fact.status === 'completed') return;
      logger.info(`The saga '${fact.saga}' ended as ${fact.status}.`, fieldsOf(fact));
    },
    saga_needs_attention: (fact) => {
      // The line that says why it cannot be run says more.
      if (fact.unreadable) return;
      const { detail, reason } = fact;
      logger.error(`A saga needs attention: ${detail}`, { ...fieldsOf(fact), reason });
    },
    saga_unreadable: (fact) => {
      const { detail, version, error } = fact;
      const fields = { ...fieldsOf(fact), version };
      logger.error(`A saga cannot be run by this engine: ${detail}`, fields, error);
    },
    engine_died: ({ incarnation }) =>
      logger.error('This engine was declared dead: it stops all work and returns as a new one.', {
        incarnation,
      }),
    engine_buried: ({ incarnation }) =>
      logger.warn('An engine was declared dead; its sagas are taken over.', { incarnation }),
  });
}

function logFailure(logger: Logger, fact: FactOf<'task_failed'>): void {
  const { saga, step, item, attempt, error } = fact;
  const what = `The ${taskText(fact)} of the saga '${saga}'`;
  const fields = {
    ...fieldsOf(fact),
    step,
    ...(item === null ? {} : { item }),
    attempt,
    error: textOf(error),
  };
  // A refusal is a normal answer, and a step that was given up because another failed is a consequence,
  // so neither is a warning.
  if (error.reason !== undefined) logger.info(`${what} was refused.`, fields);
  else if (error.name === 'GivenUp') logger.info(`${what} ${endOf(fact)}`, fields);
  else logger.warn(`${what} ${endOf(fact)}`, fields);
}

function endOf({ next, delayMs }: FactOf<'task_failed'>): string {
  switch (next) {
    case 'attempt':
      return `failed and is tried again in ${delayMs ?? 0} ms.`;
    case 'failed':
      return 'failed.';
    case 'unknown':
      return 'is given up; it is unknown whether it had its effect.';
  }
}

/** With the trace id, by which log lines of all services about one piece of work can be found. */
function fieldsOf({ sagaId, saga, traceparent }: SagaFacts): LogFields {
  const parent = parseTraceParent(traceparent ?? undefined);
  return parent === undefined ? { sagaId, saga } : { sagaId, saga, traceId: parent.traceId };
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
