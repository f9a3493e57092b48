import { NonRetryableError, SagazError } from '../../errors/index.js';
import type { InboxKey } from '../../ports/index.js';

/** Another transaction holds the message (or its idempotency key) and did not end in time. */
export class InboxBusyError extends SagazError {
  readonly code = 'SAGAZ_INBOX_BUSY';

  constructor(
    /** The message or the idempotency key that is being worked on. */
    readonly subject: string,
    readonly waitedMs: number,
    options: { readonly cause?: unknown } = {},
  ) {
    super(
      `${subject} is being handled by another transaction, which did not end within ${waitedMs} ms.`,
      'It is delivered again shortly; if this lasts, look for a handler that never ends.',
      options,
    );
  }

  /**
   * Another delivery of the same message is still being handled after a wait of `waitedMs`
   * milliseconds.
   */
  static ofMessage(key: InboxKey, waitedMs: number, cause?: unknown): InboxBusyError {
    return new InboxBusyError(
      `Message ${key.id} of ${key.source} for group ${key.group}`,
      waitedMs,
      cause === undefined ? {} : { cause },
    );
  }

  /**
   * Another message with the same idempotency key is still being handled after a wait of `waitedMs`
   * milliseconds.
   */
  static ofIdempotencyKey(key: string, waitedMs: number, cause?: unknown): InboxBusyError {
    return new InboxBusyError(
      `Idempotency key ${key}`,
      waitedMs,
      cause === undefined ? {} : { cause },
    );
  }
}

/** A cache, a filter or an interceptor answered the message, and its handler was not called. */
export class HandlerNotReachedError extends SagazError {
  readonly code = 'SAGAZ_HANDLER_NOT_REACHED';

  constructor(
    readonly type: string,
    readonly group: string,
    options: { readonly cause?: unknown } = {},
  ) {
    super(
      `Something in front of the handler of '${type}' (group '${group}') answered in its place, so nothing was committed.`,
      'Remove the interceptor that answers without calling the handler, or exempt message handlers from it.',
      options,
    );
  }
}

/** The value that a handler returned cannot be sent as a reply. No further attempt can change that. */
export class UnsendableReplyError extends NonRetryableError {
  override readonly code = 'SAGAZ_UNSENDABLE_REPLY';

  constructor(
    /** The type of the command. */
    readonly type: string,
    /** `its payload has 17000000 bytes, and …` */
    readonly problem: string,
    remedy: string,
  ) {
    super(`The reply to '${type}' cannot be sent: ${problem}.`, { remedy });
  }
}

/** A command or compensation lacks a header that Sagaz needs to carry it out once. */
export class MalformedCommandError extends SagazError {
  readonly code = 'SAGAZ_MALFORMED_COMMAND';

  constructor(
    readonly type: string,
    readonly header: string,
    problem: string,
  ) {
    super(
      `The message '${type}' cannot be carried out as a command: header '${header}' ${problem}.`,
      'Let Sagaz send commands, or send a plain message without the role header.',
    );
  }
}

/** The process died several times while it handled this message alone. */
export class HandlerCrashedError extends SagazError {
  readonly code = 'SAGAZ_HANDLER_CRASHED';

  constructor(
    readonly type: string,
    readonly crashes: number,
  ) {
    super(
      `The handler of '${type}' was begun ${crashes} times with this message alone in the process, and the process died each time.`,
      'Find out what in the message ends the process (memory, an endless loop, a native crash) and replay the dead letter.',
    );
  }
}

/**
 * The message has to wait, because it may only be handled alone or beside few others that have timed
 * out before.
 */
export class TurnWaitError extends SagazError {
  readonly code = 'SAGAZ_TURN_WAIT';

  constructor(readonly type: string) {
    super(
      `The message '${type}' waits for its turn: it may have killed a process or has timed out before, and another such message is being handled.`,
      'It is delivered again shortly, and no attempt is counted; if this lasts, look for a handler that never ends.',
    );
  }
}

/** No connection of the application was free for a handler's transaction. Its handler was not begun. */
export class NoConnectionError extends SagazError {
  readonly code = 'SAGAZ_NO_CONNECTION';

  constructor(
    /** The message's type. */
    readonly type: string,
    readonly waitedMs: number,
  ) {
    super(
      `The handler of '${type}' waited ${waitedMs} ms for a transaction and got none: all connections were taken.`,
      'Look for transactions that never end, give the DataSource a larger pool (poolSize), or let fewer handlers run at once (inbox: { concurrency }).',
    );
  }
}

/**
 * A row of the landing queue is another process's, or has been ended, so the transaction of its handler is
 * rolled back.
 */
export class LandedRowLostError extends SagazError {
  readonly code = 'SAGAZ_LANDED_ROW_LOST';

  constructor(
    readonly group: string,
    /** The number of the row. */
    readonly seq: string,
  ) {
    super(
      `Message ${seq} in the landing queue of group ${group} is not this process's any more: its slot was taken over, or the message has ended.`,
      'The process that has it now handles it; if this lasts, look for processes that freeze.',
    );
  }
}

/**
 * A claim had to wait for another handler of its key, in a transaction that goes on seeing what was there before the
 * wait. It is run again in a new one.
 */
export class StaleSnapshotError extends SagazError {
  readonly code = 'SAGAZ_STALE_SNAPSHOT';

  constructor(
    readonly messageId: string,
    /** The isolation level of the transaction. */
    readonly level: string,
  ) {
    super(
      `The claim of message ${messageId} had to wait for another handler of its key, in a transaction of isolation ${level} that does not see what that one did.`,
      'The transaction runs again; handlers that meet this often should use READ COMMITTED.',
    );
  }
}

/** An earlier message of the key is in the landing queue, so this one has to be put there too. */
export class HeldKeyError extends SagazError {
  readonly code = 'SAGAZ_HELD_KEY';

  constructor(
    /** The message's type. */
    readonly type: string,
    readonly group: string,
  ) {
    super(
      `The message '${type}' waits behind an earlier one of its key, which group ${group} has in its landing queue.`,
      'It is put into the landing queue behind that one.',
    );
  }
}
