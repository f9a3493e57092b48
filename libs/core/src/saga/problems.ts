import { isSagazError, valueText } from '../errors/index.js';
import type { DefinitionProblem } from './invalid-saga-definition.error.js';

/** Collects the problems of a class, so that the application's start reports all of them at once. */
export class Problems {
  readonly found: DefinitionProblem[] = [];

  add(method: string | null, problem: string, remedy: string): void {
    this.found.push({ method, problem, remedy });
  }

  /**
   * Notes unknown options, because with a misspelt `transactional` a step would silently not be
   * transactional. Returns whether the value given is an object of options at all, and notes if it is
   * none.
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

  /** Returns the value; if making it fails, notes the reason and returns the fallback. */
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
