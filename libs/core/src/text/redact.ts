import { redactParameters } from './redact-parameters.js';
import { redactUrls } from './redact-urls.js';

/**
 * Takes passwords out of a text before people see it: the part of a url between user and host, and the
 * values of `password`, `passwd`, `pwd`, `passphrase`, `secret` and `authorization` in connection
 * strings, query parameters, headers and JSON. Passwords may hold `@`, quotes and blanks that nobody
 * escaped; where it cannot be told where one ends, more of the text is hidden rather than less. The
 * time it takes grows with the length of the text and not faster.
 */
export function redact(text: string): string {
  return redactParameters(redactUrls(text));
}
