import type { DefinitionRef } from './saga-mail.js';

/**
 * The format that this version of Sagaz writes and reads: it can read all sagas and all mail of this format
 * and of those before it. A version that writes something which the version before it cannot read (another
 * kind of entry, of mail, or of wait) has a format that is higher by one.
 */
export const FORMAT = 1;

/** A definition of sagas, and the lowest format of the engines that can read its sagas. */
export interface FormattedDefinition extends DefinitionRef {
  readonly format: number;
}
