import { redact } from '../text/index.js';
import { bounded, wellFormed } from './well-formed.js';

/**
 * Characters that are read beyond the end of what is shown: a secret that begins before that end is seen
 * as a whole, up to this length, and none is shown by half.
 */
const MARGIN = 16_384;

/**
 * The beginning of a text without passwords, as {@link bounded} gives it. A long text is cut before it is
 * searched: of 10 MB that were searched as a whole, all but 4,000 characters would be thrown away.
 */
export function redactedBeginning(text: string, longest: number): string {
  if (text.length <= longest + MARGIN) return bounded(redact(text), longest);
  const found = redact(text.slice(0, longest + MARGIN));
  return `${wellFormed(found.slice(0, longest - 1))}…`;
}
