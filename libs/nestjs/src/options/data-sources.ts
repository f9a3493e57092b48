import { valueText } from '@sagaz/core';
import { z } from 'zod';
import { InvalidOptionsError, type OptionProblem } from './invalid-options.error.js';
import type { DataSourceOptions } from './sagaz-options.js';

const EXPECTED =
  "give names of DataSources, or { name, ambient: 'join' | 'off' }: dataSources: ['default', 'billing']";

const schema = z
  .array(
    z.union([
      z.string().min(1),
      z.strictObject({ name: z.string().min(1), ambient: z.enum(['join', 'off']).optional() }),
    ]),
  )
  .transform((entries) =>
    entries.map((entry): Required<DataSourceOptions> =>
      typeof entry === 'string'
        ? { name: entry, ambient: 'join' }
        : { name: entry.name, ambient: entry.ambient ?? 'join' },
    ),
  );

/**
 * Reads the option `dataSources` and adds defaults.
 *
 * @throws InvalidOptionsError when a name is not possible
 */
export function readDataSources(given: unknown): readonly Required<DataSourceOptions>[] {
  const parsed = schema.safeParse(given);
  if (!parsed.success) {
    throw new InvalidOptionsError(parsed.error.issues.map((issue) => problemAt(given, issue.path)));
  }
  const names = parsed.data.map(({ name }) => name);
  const twice = names.find((name, index) => names.indexOf(name) !== index);
  if (twice !== undefined) {
    throw new InvalidOptionsError([
      problem('dataSources', given, `give the name ${valueText(twice)} once`),
    ]);
  }
  return parsed.data;
}

/** The entry of the list that is wrong, or the value that stands in place of a list. */
function problemAt(given: unknown, [index]: readonly PropertyKey[]): OptionProblem {
  if (typeof index !== 'number' || !Array.isArray(given)) {
    return problem('dataSources', given, EXPECTED);
  }
  const entries: readonly unknown[] = given;
  return problem(`dataSources.${String(index)}`, entries[index], EXPECTED);
}

/** A given value may be a DataSource, which refers to itself and has a password. */
function problem(option: string, given: unknown, expected: string): OptionProblem {
  return { option, variable: undefined, given: valueText(given), expected };
}
