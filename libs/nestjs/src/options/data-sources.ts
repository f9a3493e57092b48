import { z } from 'zod';
import { InvalidOptionsError } from './invalid-options.error.js';
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
  if (!parsed.success) throw refused(given, EXPECTED);
  const names = parsed.data.map(({ name }) => name);
  const twice = names.find((name, index) => names.indexOf(name) !== index);
  if (twice !== undefined) throw refused(given, `name '${twice}' once`);
  return parsed.data;
}

function refused(given: unknown, expected: string): InvalidOptionsError {
  return new InvalidOptionsError([
    { option: 'dataSources', variable: undefined, given: JSON.stringify(given), expected },
  ]);
}
