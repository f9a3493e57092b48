import { valueText } from '../../errors/index.js';
import { InvalidContractError } from './errors.js';

/**
 * Checks options where the compiler has not. A misspelt option would be ignored; with a misspelt
 * `topic`, for example, messages would go to a topic that no service reads.
 *
 * @throws InvalidContractError
 */
export function checkOptions(of: string, given: unknown, names: readonly string[]): void {
  const known = `Give one of ${names.join(', ')}.`;
  if (typeof given !== 'object' || given === null || Array.isArray(given)) {
    throw new InvalidContractError(given, `The options of ${of} are ${valueText(given)}.`, known);
  }
  const unknown = Object.keys(given).find((name) => !names.includes(name));
  if (unknown === undefined) return;
  throw new InvalidContractError(unknown, `There is no option '${unknown}' of ${of}.`, known);
}
