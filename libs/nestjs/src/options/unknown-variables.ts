import { ENVIRONMENT } from './environment.js';

/** Variables that the command line and Sagaz's own tests read, and no application. */
const OTHERS = /^SAGAZ_(DATABASE_URL|SCHEMA|TEST_.*)$/;

/**
 * Variables that only the command line reads, each with the option that an application uses instead.
 */
const OF_THE_COMMAND_LINE: Readonly<Record<string, string>> = {
  SAGAZ_DATABASE_URL:
    'the store takes the database of its DataSource, or postgres({ url: process.env.SAGAZ_DATABASE_URL })',
  SAGAZ_SCHEMA: 'write postgres({ schema: process.env.SAGAZ_SCHEMA })',
};

/** Finds set variables that only the command line reads, each with the option to use instead. */
export function commandLineVariables(
  environment: Readonly<Record<string, string | undefined>>,
): readonly { readonly variable: string; readonly instead: string }[] {
  return Object.entries(OF_THE_COMMAND_LINE)
    .filter(([variable]) => (environment[variable] ?? '').trim() !== '')
    .map(([variable, instead]) => ({ variable, instead }));
}

/** A variable whose name begins like those of Sagaz and that sets no option. */
export interface UnknownVariable {
  readonly variable: string;
  /** The variable that was probably meant; undefined where no name is near. */
  readonly meant: string | undefined;
}

/**
 * Variables whose names begin with `SAGAZ_` and that no option reads. One that is a slip of the
 * pen away from a known one was meant as that. What is far from all of them may belong to somebody else:
 * Kubernetes gives every container `SAGAZ_PORT` and more where a service is called `sagaz`.
 */
export function unknownVariables(
  environment: Readonly<Record<string, string | undefined>>,
): readonly UnknownVariable[] {
  const known = ENVIRONMENT.map(({ variable }) => variable);
  return Object.keys(environment)
    .filter((name) => /^SAGAZ_/i.test(name) && !known.includes(name) && !OTHERS.test(name))
    .filter((name) => environment[name]?.trim() !== '')
    .sort()
    .map((variable) => ({ variable, meant: nearest(variable, known) }));
}

/** The known name that is nearest, if it is near at all. */
export function nearest(name: string, known: readonly string[]): string | undefined {
  const near = known
    .map((one) => ({ one, away: distance(plain(name), plain(one)) }))
    .filter(({ one, away }) => away <= Math.min(2, Math.floor(one.length / 4)))
    .sort((a, b) => a.away - b.away);
  return near[0]?.one;
}

function plain(name: string): string {
  return name.toLowerCase();
}

/** How many characters have to be put in, taken out or exchanged (Levenshtein 1965). */
function distance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, index) => index);
  for (let i = 0; i < a.length; i += 1) {
    const next = [i + 1];
    for (let j = 0; j < b.length; j += 1) {
      const kept = (row[j] ?? 0) + (a[i] === b[j] ? 0 : 1);
      next.push(Math.min(kept, (row[j + 1] ?? 0) + 1, (next[j] ?? 0) + 1));
    }
    row = next;
  }
  return row[b.length] ?? 0;
}
