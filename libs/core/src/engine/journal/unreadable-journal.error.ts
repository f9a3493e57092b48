import { SagazError } from '../../errors/index.js';

/**
 * The journal of a saga cannot be read: an entry is damaged or missing, or this version does not know
 * its kind.
 */
export class UnreadableJournalError extends SagazError {
  readonly code = 'SAGAZ_UNREADABLE_JOURNAL';

  constructor(
    readonly kind: string,
    readonly detail: string,
    options: { readonly remedy?: string; readonly cause?: unknown } = {},
  ) {
    const { remedy = 'Mend the rows of saga_journal, then retry the saga.', ...rest } = options;
    super(detail, remedy, rest);
  }
}
