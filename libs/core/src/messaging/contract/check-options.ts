import { valueText } from '../../errors/index.js';
import { InvalidContractError } from './errors.js';

/**
 * What the compiler has not seen: an option that nobody reads. A misspelt `topic` would send messages
 * where nobody listens.
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
