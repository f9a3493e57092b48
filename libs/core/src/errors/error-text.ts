import { errorRecord, titled, type ErrorRecord } from './error-record.js';
import { isError } from './thrown-value.js';
import { bounded } from './well-formed.js';

const LONGEST_TEXT = 4_000;

/**
 * Whatever was thrown, as one text for logs, dead letters and health: name and message, and what is
 * behind it (`TypeError: fetch failed (caused by getaddrinfo ENOTFOUND cards)`). Bounded, without
 * NUL and halves of characters; never throws.
 */
export function errorText(thrown: unknown): string {
  const record = errorRecord(thrown);
  const message = recordMessage(record);
  // What is no Error has no class of its own that would be worth a word.
  const text = isError(thrown) ? `${record.name}: ${message}` : titled(record.name, message);
  return bounded(text, LONGEST_TEXT);
}

/** The same without the name of the error's class. */
export function errorMessage(thrown: unknown): string {
  return bounded(recordMessage(errorRecord(thrown)), LONGEST_TEXT);
}

/** The message of a record with what is behind it. */
export function recordMessage({ message, causes = [] }: ErrorRecord): string {
  const untold = causes.filter((cause) => !message.includes(cause));
  return untold.length === 0 ? message : `${message} (caused by ${untold.join('; ')})`;
}

/** A thrown value as an Error: itself where it is one, else an Error that tells it and has it as its `cause`. */
export function asError(thrown: unknown): Error {
  return isError(thrown) ? thrown : new Error(errorMessage(thrown), { cause: thrown });
}
