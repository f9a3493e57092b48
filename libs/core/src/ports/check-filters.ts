import {
  InvalidArgumentError,
  checkArguments,
  cursorArgument,
  limitArgument,
  sagaIdArgument,
  textArgument,
  type OptionCheck,
} from '../errors/index.js';
import { SAGA_STATUSES } from './saga-store.js';

const statuses: OptionCheck = (call, name, value) => {
  const known: readonly unknown[] = SAGA_STATUSES;
  if (Array.isArray(value) && value.every((status) => known.includes(status))) return;
  const remedy = `Give a list of some of ${SAGA_STATUSES.join(', ')}, or leave it out.`;
  throw new InvalidArgumentError(call, name, value, remedy);
};

const SAGA_FILTER: Readonly<Record<string, OptionCheck>> = {
  tenant: textArgument,
  name: textArgument,
  key: textArgument,
  statuses,
  before: sagaIdArgument,
  limit: limitArgument,
};

const LETTER_FILTER: Readonly<Record<string, OptionCheck>> = {
  topic: textArgument,
  type: textArgument,
  key: textArgument,
  group: textArgument,
  after: cursorArgument,
  limit: limitArgument,
};

/** Checks a `SagaFilter`; every store calls this before it uses one. @throws InvalidArgumentError */
export function checkSagaFilter(filter: unknown): void {
  checkArguments('The search for sagas', filter, SAGA_FILTER);
}

/** Checks a `DeadLetterFilter`; every store calls this before it uses one. @throws InvalidArgumentError */
export function checkDeadLetterFilter(filter: unknown): void {
  checkArguments('The list of dead letters', filter, LETTER_FILTER);
}
