import { isSagazError, valueText } from '../errors/index.js';
import type { DefinitionProblem } from './invalid-saga-definition.error.js';

/** Collects what is wrong with a class, so that a start shows everything at once. */
export class Problems {
  readonly found: DefinitionProblem[] = [];

  add(method: string | null, problem: string, remedy: string): void {
    this.found.push({ method, problem, remedy });
  }

  /**
   * Notes options that nobody reads: a misspelt `transactional` would cost a commit its meaning. Answers
   * whether they are options that can be read at all; what is not is noted too.
   */
  only(method: string | null, given: unknown, names: readonly string[]): boolean {
    if (typeof given !== 'object' || given === null || Array.isArray(given)) {
      const remedy = `Give { ${names.join(', ')} } or some of them.`;
      this.add(method, `Its options are ${valueText(given)}.`, remedy);
      return false;
    }
    for (const name of Object.keys(given)) {
      if (names.includes(name)) continue;
      this.add(method, `There is no option '${name}'.`, `Give one of ${names.join(', ')}.`);
    }
    return true;
  }

  /** The value, or the fallback once the reason it failed is noted. */
  attempt<T>(method: string | null, read: () => T, fallback: T): T {
    try {
      return read();
    } catch (error) {
      if (!isSagazError(error)) throw error;
      const problem = error.message.endsWith(error.remedy)
        ? error.message.slice(0, -error.remedy.length).trimEnd()
        : error.message;
      this.add(method, problem, error.remedy);
      return fallback;
    }
  }
}
