import { SagazError } from '../../errors/index.js';

/** A journal holds an entry this version does not know: a newer version wrote it. */
export class UnreadableJournalError extends SagazError {
  readonly code = 'SAGAZ_UNREADABLE_JOURNAL';

  constructor(readonly kind: string) {
    super(
      `The journal holds an entry of kind "${kind}", which this version of Sagaz does not know.`,
      'Run sagas on the version that wrote it, or a newer one.',
    );
  }
}
