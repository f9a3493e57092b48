import { isMarkedError } from './thrown-value.js';

const SAGAZ_ERROR = Symbol.for('sagaz.error');

/**
 * Base of every error that Sagaz throws. The message alone lets a person act: it names what was given
 * and ends with the remedy, which is also kept in `remedy`.
 */
export abstract class SagazError extends Error {
  /** A stable machine-readable code, `SAGAZ_…`. */
  abstract readonly code: string;
  /** The remedy, in one sentence. */
  readonly remedy: string;

  constructor(problem: string, remedy: string, options: { readonly cause?: unknown } = {}) {
    super(
      `${problem} ${remedy}`,
      options.cause === undefined ? undefined : { cause: options.cause },
    );
    this.name = new.target.name;
    this.remedy = remedy;
    // A registered symbol, because two installed copies of this package must recognise each
    // other's errors where `instanceof` cannot.
    Object.defineProperty(this, SAGAZ_ERROR, { value: true });
  }
}

/** Whether a thrown value is an error of Sagaz, also of another installed copy of the package. */
export function isSagazError(value: unknown): value is SagazError {
  return isMarkedError(value, SAGAZ_ERROR);
}
