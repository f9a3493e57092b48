import { InvalidArgumentError } from 'commander';

const LONGEST_WAIT_S = 86_400;

/** The number of seconds that an option gives. */
export function secondsOf(text: string): number {
  const seconds = Number(text);
  if (text.trim() === '' || !(seconds >= 0 && seconds <= LONGEST_WAIT_S)) {
    throw new InvalidArgumentError(
      `Give a number of seconds from 0 to ${String(LONGEST_WAIT_S)}, which is a day; for example 60.`,
    );
  }
  return seconds;
}
