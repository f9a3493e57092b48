import { InvalidArgumentError } from './invalid-argument.error.js';

/**
 * Checks one option that was given to a call.
 *
 * @throws InvalidArgumentError
 */
export type OptionCheck = (call: string, name: string, value: unknown) => void;

/**
 * Checks the options of a call where the compiler has not, because they come from a request or a
 * script. A misspelt option would otherwise be ignored, and `{ key: undefined }` would select
 * everything where one key was meant.
 *
 * @throws InvalidArgumentError
 */
export function checkArguments(
  call: string,
  given: unknown,
  checks: Readonly<Record<string, OptionCheck>>,
): void {
  const known = `Give { ${Object.keys(checks).join(', ')} } or some of them.`;
  requireObject(call, given, known);
  for (const [name, value] of Object.entries(given) as [string, unknown][]) {
    const check = Object.hasOwn(checks, name) ? checks[name] : undefined;
    if (check === undefined) {
      throw new InvalidArgumentError(call, name, value, `There is no such option. ${known}`);
    }
    check(call, name, value);
  }
}

/**
 * Refuses what is no object of options, such as null.
 *
 * @throws InvalidArgumentError
 */
export function requireObject(
  call: string,
  given: unknown,
  remedy: string,
): asserts given is object {
  if (typeof given === 'object' && given !== null && !Array.isArray(given)) return;
  throw new InvalidArgumentError(call, 'the argument', given, remedy);
}

const LONGEST_TEXT = 4_000;
/**
 * Control characters, NUL among them, and lone surrogates: no store holds them, so a search for them
 * finds nothing.
 */
const UNPRINTABLE = /[\p{Cc}\p{Cs}]/u;

/** A text to search for. */
export const textArgument: OptionCheck = (call, name, value) => {
  if (typeof value === 'string' && value.length <= LONGEST_TEXT && !UNPRINTABLE.test(value)) return;
  const remedy = `Give a text of at most ${LONGEST_TEXT} characters without control characters, or leave it out.`;
  throw new InvalidArgumentError(call, name, value, remedy);
};

/** A text for people, such as a reason; it may have several lines. */
export const proseArgument: OptionCheck = (call, name, value) => {
  if (value === undefined) return;
  if (typeof value === 'string' && value.length <= LONGEST_TEXT) return;
  const remedy = `Give a text of at most ${LONGEST_TEXT} characters, or leave it out.`;
  throw new InvalidArgumentError(call, name, value, remedy);
};

/** The largest number of items to return. */
export const limitArgument: OptionCheck = (call, name, value) => {
  if (typeof value === 'number' && Number.isInteger(value) && value >= 1 && value <= 1_000) return;
  const remedy = 'Give a whole number from 1 to 1,000, or leave it out.';
  throw new InvalidArgumentError(call, name, value, remedy);
};

const LARGEST_CURSOR = 9_223_372_036_854_775_807n;

/** The cursor of a dead letter that was listed before. */
export const cursorArgument: OptionCheck = (call, name, value) => {
  if (typeof value === 'string' && /^\d{1,19}$/.test(value) && BigInt(value) <= LARGEST_CURSOR) {
    return;
  }
  const remedy = 'Give the cursor of the last one that this very list showed, or leave it out.';
  throw new InvalidArgumentError(call, name, value, remedy);
};

const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i;

/** The id of a saga. */
export const sagaIdArgument: OptionCheck = (call, name, value) => {
  if (typeof value === 'string' && UUID.test(value)) return;
  throw new InvalidArgumentError(call, name, value, 'Give the id of a saga, which is a UUID.');
};

const UUID_V7 = /^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/i;

/** The id of a saga that is to be started. Lists and partitions of sagas rely on the time in it. */
export const newSagaIdArgument: OptionCheck = (call, name, value) => {
  if (typeof value === 'string' && UUID_V7.test(value)) return;
  const remedy =
    'Give a UUIDv7, which newId() makes, or leave it out and give a key of your own as idempotencyKey.';
  throw new InvalidArgumentError(call, name, value, remedy);
};

/** One of the words given. */
export function oneOfArgument(words: readonly string[]): OptionCheck {
  return (call, name, value) => {
    if (typeof value === 'string' && words.includes(value)) return;
    throw new InvalidArgumentError(call, name, value, `Give one of ${words.join(', ')}.`);
  };
}
