import { SagazError } from '@sagaz/core';

/** The role does not own the tables that it should partition. */
export class PartitionsForbiddenError extends SagazError {
  readonly code = 'SAGAZ_PARTITIONS_FORBIDDEN';

  constructor(readonly schema: string) {
    super(
      `The role does not own the tables of the schema ${schema}, so it cannot partition them.`,
      'Run the command as the role that migrates the schema.',
    );
  }
}

/** Another process is converting the tables. */
export class PartitionsBusyError extends SagazError {
  readonly code = 'SAGAZ_PARTITIONS_BUSY';

  constructor(readonly schema: string) {
    super(
      `Another process is partitioning the tables of the schema ${schema}.`,
      'Wait until it has ended, and run the command again.',
    );
  }
}
