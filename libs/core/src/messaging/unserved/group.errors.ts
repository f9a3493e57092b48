import { SagazError } from '../../errors/index.js';

/** A consumer group was left as it is, because a process of it is alive. */
export class GroupInUseError extends SagazError {
  readonly code = 'SAGAZ_GROUP_IN_USE';

  constructor(
    readonly group: string,
    /** How many of its processes live. */
    readonly processes: number,
    undone: 'removed' | 'renamed' | 'retired' = 'removed',
  ) {
    super(
      `The consumer group '${group}' has ${processes} living process(es), so nothing was ${undone}.`,
      'Stop them, wait until their leases have ended (10 s by default), and try again.',
    );
  }
}

/** There is no consumer group of that name. */
export class UnknownGroupError extends SagazError {
  readonly code = 'SAGAZ_UNKNOWN_GROUP';

  /** @param where where the group was looked for, as the beginning of a sentence */
  constructor(
    readonly group: string,
    where: 'The broker' | 'The store' = 'The broker',
  ) {
    super(
      `${where} has no consumer group '${group}'.`,
      'Look up its name: it is the service that subscribed, unless a handler names a group of its own.',
    );
  }
}

/** A consumer group was not renamed, because one of the new name has handled or landed messages itself. */
export class GroupExistsError extends SagazError {
  readonly code = 'SAGAZ_GROUP_EXISTS';

  constructor(readonly group: string) {
    super(
      `A consumer group '${group}' has handled or landed messages, so no other one can get its name.`,
      'Give a name that no group has had; or retire the old group and replay its dead letters where they belong.',
    );
  }
}
