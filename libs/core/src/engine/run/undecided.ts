import { errorText } from '../../errors/index.js';
import type { Happening } from '../decide/index.js';

/** The decision about the next transition of a saga threw; its `news` were put back. */
export class Undecided extends Error {
  constructor(
    readonly news: readonly Happening[],
    override readonly cause: unknown,
  ) {
    super(`What the saga does next could not be decided: ${errorText(cause)}`, { cause });
  }
}
