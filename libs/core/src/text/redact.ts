import { redactParameters } from './redact-parameters.js';
import { redactUrls } from './redact-urls.js';

/**
 * Hides passwords in a text before people see it: the part of a url between user and host, and the
 * values of `password`, `passwd`, `pwd`, `pass`, `passphrase`, `secret`, `secret_key`, `authorization`,
 * `api_key`, `token` and `access_token` (and of names that end with these) in connection strings, query
 * parameters, headers and JSON. Passwords may have `@`, quotes and blanks that were not
 * escaped; if the end of a password cannot be recognised, too much of the text is hidden rather than
 * too little. The time that this takes grows linearly with the length of the text.
 */
export function redact(text: string): string {
  return redactParameters(redactUrls(text));
}
