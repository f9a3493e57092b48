import { inspect } from 'node:util';
import { oneLine } from '../text/index.js';
import { redactedBeginning } from './redacted.js';
import { bounded } from './well-formed.js';

const LONGEST = 200;
/** Of a text within the value: more than is shown, so that a password in it is seen as a whole. */
const LONGEST_PART = 16_384;

/**
 * A value that was given as an option or argument, as one line for the message that refuses it: texts in
 * quotes, of objects the first level. At most some 200 characters, without passwords. It never throws,
 * whatever the value is, and calls none of the value's own code but the traps of a proxy.
 */
export function valueText(given: unknown): string {
  try {
    const text = inspect(given, {
      depth: 0,
      breakLength: Infinity,
      maxStringLength: LONGEST_PART,
      maxArrayLength: 10,
      customInspect: false,
    });
    const shown = bounded(oneLine(redactedBeginning(text, LONGEST)), LONGEST);
    return typeof given === 'string' && given.length > LONGEST
      ? `${shown} (${String(given.length)} characters)`
      : shown;
  } catch {
    return 'a value that cannot be read';
  }
}
