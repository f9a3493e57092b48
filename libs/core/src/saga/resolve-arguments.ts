import { SagazError } from '../errors/index.js';
import type { StepMethod } from './saga-definition.js';
import type { StepContext } from './step-context.js';

/** The values from which the arguments of one call are taken. */
export interface ArgumentValues {
  readonly input: unknown;
  /** Results by step. A step without an entry has no result; the result itself may be undefined. */
  readonly results: Pick<ReadonlyMap<string, unknown>, 'has' | 'get'>;
  readonly context: StepContext;
  /** The manager of the transaction; undefined outside of transactional steps. */
  readonly transactionManager: unknown;
}

/** The result of a step was asked for that has none. */
export class StepResultMissingError extends SagazError {
  readonly code = 'SAGAZ_STEP_RESULT_MISSING';

  constructor(
    readonly step: string,
    readonly askedBy: string,
  ) {
    super(
      `'${askedBy}' asks for the result of step '${step}', which has none.`,
      `Make '${askedBy}' depend on '${step}', or take it by @ResultIfAny('${step}').`,
    );
  }
}

/** The arguments for the method of a step or compensation, by position. */
export function resolveArguments(method: StepMethod, values: ArgumentValues): unknown[] {
  return method.arguments.map((source) => {
    switch (source.kind) {
      case 'input':
        return values.input;
      case 'result':
        if (!values.results.has(source.step)) {
          throw new StepResultMissingError(source.step, method.method);
        }
        return values.results.get(source.step);
      case 'result_if_any':
        return values.results.get(source.step);
      case 'idempotency_key':
        return values.context.idempotencyKey;
      case 'context':
        return values.context;
      case 'transaction_manager':
        return values.transactionManager;
    }
  });
}
