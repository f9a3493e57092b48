import { SagazError } from '../../errors/index.js';

/** A journal holds an entry that this version does not know, or that was damaged; or lacks one. */
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
