import { InvalidSigningKeyError, MessageSigning } from '@sagaz/core';
import { z } from 'zod';

const FORM =
  "give { key } or { keys: [newest, …older] }, and unsigned: 'accept' while it is introduced";
const KEYS = 'give keys of at least 32 random bytes each, as text or Buffer';

const key = z.union([z.string(), z.instanceof(Uint8Array)], { error: KEYS });

/**
 * Reads the keys by which messages are signed. The parsed value hides the keys however it is printed.
 */
export const signingOption = z
  .strictObject(
    {
      key: key.optional(),
      keys: z.array(key, { error: KEYS }).optional(),
      unsigned: z.enum(['refuse', 'accept'], { error: "give 'refuse' or 'accept'" }).optional(),
    },
    { error: FORM },
  )
  .optional()
  .transform((given, context): MessageSigning | undefined => {
    if (given === undefined) return undefined;
    const problem = (path: string, message: string): never => {
      context.addIssue({ code: 'custom', path: [path], message });
      return z.NEVER;
    };
    if ((given.key === undefined) === (given.keys === undefined)) return problem('keys', FORM);
    const { unsigned = 'refuse' } = given;
    const keys = given.keys ?? (given.key === undefined ? [] : [given.key]);
    try {
      return new MessageSigning({ keys, unsigned });
    } catch (error) {
      if (!(error instanceof InvalidSigningKeyError)) throw error;
      const remedy =
        error.remedy.charAt(0).toLowerCase() + error.remedy.slice(1).replace(/\.$/, '');
      return problem(given.keys === undefined ? 'key' : 'keys', `${error.problem}; ${remedy}`);
    }
  });
