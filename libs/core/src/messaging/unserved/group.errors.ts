import { SagazError } from '../../errors/index.js';

/** A consumer group was not removed, because a process of it is alive. */
export class GroupInUseError extends SagazError {
  readonly code = 'SAGAZ_GROUP_IN_USE';

  constructor(
    readonly group: string,
    /** How many of its processes live. */
    readonly processes: number,
  ) {
    super(
      `The consumer group '${group}' has ${processes} living process(es), so it was not removed.`,
      'Stop them, wait until their leases have ended (10 s by default), and remove the group again.',
    );
  }
}

/** There is no consumer group of that name. */
export class UnknownGroupError extends SagazError {
  readonly code = 'SAGAZ_UNKNOWN_GROUP';

  constructor(readonly group: string) {
    super(
      `The broker has no consumer group '${group}'.`,
      'Look up its name: it is the service that subscribed, unless a handler names a group of its own.',
    );
  }
}
