import { isSagazError } from '../../errors/index.js';

/** The check for `assert.rejects`: an error of Sagaz with this code, whose message names what it is about. */
export function contractError(code: string, naming = ''): (error: unknown) => boolean {
  return (error) => isSagazError(error) && error.code === code && error.message.includes(naming);
}
