import { errorRecord, titled, type ErrorRecord } from './error-record.js';
import { isError } from './thrown-value.js';
import { bounded } from './well-formed.js';

const LONGEST_TEXT = 4_000;

/**
 * Any thrown value as one text for logs, dead letters and health checks: its name, its message and its
 * causes (`TypeError: fetch failed (caused by getaddrinfo ENOTFOUND cards)`). The text has a limited
 * length, no NUL and no lone surrogates; this function never throws.
 */
export function errorText(thrown: unknown): string {
  const record = errorRecord(thrown);
  const message = recordMessage(record);
  // The class of a thrown value that is no Error says nothing to a reader, so it is left out.
  const text = isError(thrown) ? `${record.name}: ${message}` : titled(record.name, message);
  return bounded(text, LONGEST_TEXT);
}

/** The same without the name of the error's class. */
export function errorMessage(thrown: unknown): string {
  return bounded(recordMessage(errorRecord(thrown)), LONGEST_TEXT);
}

/** The message of a record with its causes. */
export function recordMessage({ message, causes = [] }: ErrorRecord): string {
  const untold = causes.filter((cause) => !message.includes(cause));
  return untold.length === 0 ? message : `${message} (caused by ${untold.join('; ')})`;
}

/**
 * A thrown value as an Error: the value itself if it is an Error, otherwise an Error that describes
 * the value and has it as its `cause`.
 */
export function asError(thrown: unknown): Error {
  return isError(thrown) ? thrown : new Error(errorMessage(thrown), { cause: thrown });
}
