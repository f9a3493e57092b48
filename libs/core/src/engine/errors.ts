import { NonRetryableError, SagazError, valueText } from '../errors/index.js';
import type { SagaStatus } from '../ports/index.js';
import type { OperatorRequest } from './decide/index.js';
import type { SagaOutcome } from './handle/index.js';
import type { Role } from './journal/index.js';

/** Another engine owns the saga now, so the work that this one did for it was rolled back. */
export class LeaseLostError extends SagazError {
  readonly code = 'SAGAZ_LEASE_LOST';

  constructor(
    readonly sagaId: string,
    detail: string,
  ) {
    super(
      `This engine does not own saga ${sagaId} any more: ${detail}.`,
      'Nothing has to be done; the engine that owns the saga goes on with it.',
    );
  }
}

/** A step's attempt was aborted before its transaction could commit. */
export class StepAbortedError extends SagazError {
  readonly code = 'SAGAZ_STEP_ABORTED';

  constructor(
    readonly step: string,
    readonly reason: 'timeout' | 'given_up' | 'shutdown' | 'restarted',
    remedy = 'Nothing has to be done; the saga decides what follows.',
  ) {
    super(`Step '${step}' was aborted: ${WHY[reason]}.`, remedy);
  }
}

/** The store refused the result of a step, or the message that the step wanted to send. */
export class UnstorableResultError extends NonRetryableError {
  override readonly code = 'SAGAZ_UNSTORABLE_RESULT';

  constructor(
    readonly step: string,
    cause: unknown,
  ) {
    super(`The store cannot keep the result of step '${step}', or the message that it sends.`, {
      cause,
      remedy: 'Return less, for example the id of a record instead of the whole record.',
    });
  }
}

/** A step or compensation wants to send a command in a process that has no broker. */
export class CommandWithoutBrokerError extends NonRetryableError {
  override readonly code = 'SAGAZ_COMMAND_WITHOUT_BROKER';

  constructor(
    readonly saga: string,
    readonly step: string,
    readonly role: Role,
    /** The command's type. */
    readonly command: string,
  ) {
    super(
      `${ofStep(role, step)} of the saga '${saga}' returned the command '${command}', and this process has no broker by which to send it and to hear the reply.`,
      {
        remedy:
          'Give the option broker, for example broker: postgresBroker(), to every process with the role engine; where others relay, with roles: { relay: false }.',
      },
    );
  }
}

/** A step or compensation returned a command that the store or the broker could not carry. */
export class UnsendableCommandError extends NonRetryableError {
  override readonly code = 'SAGAZ_UNSENDABLE_COMMAND';

  constructor(
    readonly saga: string,
    readonly step: string,
    readonly role: Role,
    /** The command's type. */
    readonly command: string,
    problem: string,
    remedy: string,
  ) {
    super(
      `${ofStep(role, step)} of the saga '${saga}' returned the command '${command}', which cannot be sent: ${problem}.`,
      { remedy },
    );
  }
}

/** A step or compensation made a command and did not return it, so that nothing would send it. */
export class UnreturnedCommandError extends NonRetryableError {
  override readonly code = 'SAGAZ_UNRETURNED_COMMAND';

  constructor(
    readonly saga: string,
    readonly step: string,
    readonly role: Role,
    /** The command's type. */
    readonly command: string,
    inList: boolean,
  ) {
    super(
      inList
        ? `${ofStep(role, step)} of the saga '${saga}' returned several values with the command '${command}' among them; it sends one command, and only one that it returns by itself.`
        : `${ofStep(role, step)} of the saga '${saga}' made the command '${command}' and did not return it, so it was not sent.`,
      {
        remedy: inList
          ? 'Make a step of each command.'
          : `Write return command(…), and make only the command that is returned.`,
      },
    );
  }
}

function ofStep(role: Role, step: string): string {
  return role === 'step' ? `Step '${step}'` : `The ${role} of step '${step}'`;
}

const WHY = {
  timeout: 'it took longer than its timeout allows',
  given_up: 'its saga failed elsewhere, was cancelled, or is late',
  shutdown: 'the process shuts down',
  restarted: 'an operator asked for it to begin again',
} as const;

/** The same idempotency key, or the same id, was used for another start before. */
export class IdempotencyConflictError extends SagazError {
  readonly code = 'SAGAZ_IDEMPOTENCY_CONFLICT';

  constructor(
    readonly saga: string,
    /** Null: the conflict is about the id, which another saga has. */
    readonly idempotencyKey: string | null,
    readonly sagaId: string,
  ) {
    super(
      idempotencyKey === null
        ? `'${saga}' cannot be started with the id ${sagaId}: a saga with this id was started before, by another input, name, tenant or idempotency key.`
        : `'${saga}' was started with the idempotency key ${JSON.stringify(idempotencyKey)} before, by another input (saga ${sagaId}).`,
      'Use one key, and one id, for one input: a repeated start must repeat the input, too.',
    );
  }
}

/** More starts are under way than this process may hold in memory until the store has taken them. */
export class StartQueueFullError extends SagazError {
  readonly code = 'SAGAZ_START_QUEUE_FULL';

  constructor(
    /** The setting `maxStarts`. */
    readonly limit: number,
    /**
     * How long the start waited, in milliseconds; 0: it was refused at once, because as many starts
     * waited already, or starts with as many bytes of input.
     */
    readonly waitedMs: number,
  ) {
    super(
      `The saga was not started: ${limit} starts (the limit maxStarts) or starts with 64 MB of input are under way in this process, and ${waitedMs === 0 ? 'as many wait' : `there was no room within ${waitedMs} ms`}.`,
      'Start it again later, with the same idempotency key. If the store is well and the inputs are small, raise maxStarts.',
    );
  }
}

/** The saga ended in another way than `completed`, or needs a person. */
export class SagaFailedError extends SagazError {
  readonly code = 'SAGAZ_SAGA_FAILED';

  constructor(
    readonly sagaId: string,
    readonly outcome: SagaOutcome<unknown>,
    cause: string,
  ) {
    super(
      `Saga ${sagaId} ended as '${outcome.status}': ${cause}`,
      'Read `outcome` of this error for the cause, and the history of the saga for all that happened.',
    );
  }
}

/** The wait for a saga's end was over before the saga had ended. The saga goes on. */
export class SagaWaitTimeoutError extends SagazError {
  readonly code = 'SAGAZ_SAGA_WAIT_TIMEOUT';

  constructor(
    readonly sagaId: string,
    readonly waitedMs: number,
  ) {
    super(
      `Saga ${sagaId} has not ended within ${waitedMs} ms; it goes on.`,
      'Wait again, with a longer timeout, or look at it later by its id.',
    );
  }
}

/** The wait for a saga's end was over because this engine closes. The saga goes on elsewhere. */
export class SagaWaitEndedError extends SagazError {
  readonly code = 'SAGAZ_SAGA_WAIT_ENDED';

  constructor(readonly sagaId: string) {
    super(
      `The wait for saga ${sagaId} has ended, because this process shuts down; the saga goes on.`,
      'Ask another process for it by its id, or this one once it runs again.',
    );
  }
}

/** More callers wait for the ends of sagas than this engine allows. */
export class TooManySagaWaitsError extends SagazError {
  readonly code = 'SAGAZ_TOO_MANY_SAGA_WAITS';

  constructor(
    readonly sagaId: string,
    readonly limit: number,
  ) {
    super(
      `Saga ${sagaId} cannot be waited for: ${limit} callers wait for the ends of sagas already, which is the limit maxWaits. The saga goes on.`,
      'Look at it later by its id, wait with shorter timeouts, or raise the setting maxWaits.',
    );
  }
}

/** The end of a saga was awaited inside the transaction that starts it. */
export class SagaNotCommittedError extends SagazError {
  readonly code = 'SAGAZ_SAGA_NOT_COMMITTED';

  constructor(readonly sagaId: string) {
    super(
      `Saga ${sagaId} begins only when the transaction that starts it commits, so waiting for it in there would never end.`,
      'Await the outcome after the transaction.',
    );
  }
}

/** No saga has this id. */
export class SagaNotFoundError extends SagazError {
  readonly code = 'SAGAZ_SAGA_NOT_FOUND';

  constructor(readonly sagaId: string) {
    super(
      `There is no saga ${sagaId}.`,
      'Check the id, and the store and schema it is looked up in.',
    );
  }
}

/** An operator's request was made of a saga that has ended. */
export class SagaEndedError extends SagazError {
  readonly code = 'SAGAZ_SAGA_ENDED';

  constructor(
    readonly sagaId: string,
    readonly request: OperatorRequest,
    /** How it ended. */
    readonly status: SagaStatus,
  ) {
    super(
      `Saga ${sagaId} cannot be asked to ${request}: it has ended as '${status}'.`,
      'A saga that has ended takes no requests; its history shows how it ended.',
    );
  }
}

/** A setting of an engine has an impossible value or an unknown name. */
export class InvalidEngineSettingError extends SagazError {
  readonly code = 'SAGAZ_INVALID_ENGINE_SETTING';

  constructor(
    readonly setting: string,
    readonly given: unknown,
    least: number | null,
  ) {
    super(
      least === null
        ? `An engine has no setting '${setting}'.`
        : `The setting ${setting} of an engine cannot be ${valueText(given)}.`,
      least === null
        ? 'Leave it out.'
        : `Give a whole number from ${String(least)} to 2,147,483,647.`,
    );
  }
}

/** The engine takes no starts and requests: it was not started, or it is closed. */
export class EngineClosedError extends SagazError {
  readonly code = 'SAGAZ_ENGINE_CLOSED';

  constructor() {
    super('The saga engine is closed.', 'Start sagas between start() and close().');
  }
}
