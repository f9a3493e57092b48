import { SagazError } from '../errors/index.js';
import type { StepMethod } from './saga-definition.js';
import type { StepContext } from './step-context.js';

/** Where the arguments of one call come from. */
export interface ArgumentValues {
  readonly input: unknown;
  /** Results by step. A step that is missing has none; its result may be undefined. */
  readonly results: Pick<ReadonlyMap<string, unknown>, 'has' | 'get'>;
  readonly context: StepContext;
  /** Undefined outside transactional steps. */
  readonly transactionManager: unknown;
}

/** A result was asked for that is not there. */
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

/** The arguments of a step's or compensation's method, by position. */
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
