import { SagazError } from './sagaz-error.js';
import { isMarkedError } from './thrown-value.js';

const REFUSAL = Symbol.for('sagaz.refusal');

/**
 * A business "no", thrown by a step or by the handler of a command, for example because something is
 * out of stock or a card was declined. It is an answer and no fault, so it is never retried, and the
 * saga compensates at once.
 */
export class SagaRefusal extends SagazError {
  readonly code = 'SAGAZ_REFUSAL';

  /**
   * @param reason - a stable, machine-readable word such as `out_of_stock`
   * @param details - plain data that travels to the saga with the reason; what JSON cannot hold is
   *   kept as text, and of more than 2,000 values, 64,000 characters or 32 levels the beginning
   */
  constructor(
    readonly reason: string,
    readonly details?: unknown,
  ) {
    super(`Refused: ${reason}.`, 'A refusal is a business answer; nothing has to be repaired.');
    Object.defineProperty(this, REFUSAL, { value: true });
  }
}

/** Whether a thrown value is a {@link SagaRefusal}, also of another installed copy of the package. */
export function isSagaRefusal(value: unknown): value is SagaRefusal {
  return isMarkedError(value, REFUSAL);
}
