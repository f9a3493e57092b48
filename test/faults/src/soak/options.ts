import { parseArgs } from 'node:util';

export interface SoakOptions {
  /** How long orders are placed and processes disturbed; what is left then has a bounded time to end. */
  readonly minutes: number;
  /** Orders in all, each of which starts a saga. */
  readonly orders: number;
  /** Makes the same orders and the same order of disturbances; when they happen is up to the machine. */
  readonly seed: number;
  /** The last line of stdout is one line of JSON. */
  readonly json: boolean;
}

const SAGAS_PER_HOUR = 20_000;
const USAGE = 'Usage: npm run soak -- [--minutes N] [--sagas N] [--seed N] [--json]';

/** @throws Error that names the option, the value given and what to write instead. */
export function readOptions(args: readonly string[]): SoakOptions {
  const { values } = parseArgs({
    args: [...args],
    options: {
      minutes: { type: 'string', default: '5' },
      sagas: { type: 'string' },
      seed: { type: 'string' },
      json: { type: 'boolean', default: false },
    },
  });
  const minutes = positive('minutes', values.minutes, 24 * 60);
  const usual = Math.max(1, Math.round((SAGAS_PER_HOUR * minutes) / 60));
  return {
    minutes,
    orders: values.sagas === undefined ? usual : Math.round(positive('sagas', values.sagas, 1e7)),
    seed:
      values.seed === undefined
        ? Math.floor(Math.random() * 2 ** 31)
        : Math.round(positive('seed', values.seed, 2 ** 31)),
    json: values.json,
  };
}

function positive(name: string, text: string, most: number): number {
  const value = Number(text);
  if (!(value > 0 && value <= most)) {
    throw new Error(
      `--${name} is '${text}'. Give a number above 0 and up to ${String(most)}.\n${USAGE}`,
    );
  }
  return value;
}
