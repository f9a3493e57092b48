import { SagaFailedError, SagaRefusal, type SagazError } from '@sagaz/core';

/** The HTTP answer to a request that ended with an error of Sagaz. */
export interface HttpAnswer {
  readonly status: number;
  /** The text for the client, without advice that is meant for operators of the service. */
  readonly message: string;
  /** The reason of a participant's business "no"; absent: there is none. */
  readonly reason?: string;
  /** Seconds after which the same request may be repeated. */
  readonly retryAfter?: number;
}

/** A client may repeat its request after this many seconds, since another process then answers it. */
const SOON = 1;

const said = (error: SagazError): string => withoutRemedy(error);
const say = (text: string) => (): string => text;

/**
 * The answers by error code, and not by class, because some classes belong to packages that this one
 * does not depend on. An error that is not listed is a fault of the service, and stays a 500; the spec
 * lists those codes, so that each new one is decided on.
 */
export const ANSWERS: Readonly<
  Record<string, readonly [status: number, (error: SagazError) => string, retryAfter?: number]>
> = {
  // The saga does not exist.
  SAGAZ_SAGA_NOT_FOUND: [404, said],
  SAGAZ_UNKNOWN_GROUP: [404, said],
  // The request conflicts with the present state.
  SAGAZ_IDEMPOTENCY_CONFLICT: [409, say('The idempotency key was used with other content before.')],
  SAGAZ_SAGA_ENDED: [409, said],
  SAGAZ_GROUP_IN_USE: [409, said],
  SAGAZ_GROUP_EXISTS: [409, said],
  // The input is invalid.
  SAGAZ_INVALID_START: [400, said],
  SAGAZ_INVALID_SAGA_FILTER: [400, said],
  SAGAZ_INVALID_ARGUMENT: [400, said],
  SAGAZ_INVALID_PUBLISH: [400, said],
  SAGAZ_KEY_TOO_LONG: [400, said],
  SAGAZ_INVALID_HEADER: [400, said],
  SAGAZ_INVALID_DURATION: [400, said],
  SAGAZ_MESSAGE_INVALID: [400, said],
  SAGAZ_UNSERIALIZABLE_VALUE: [400, said],
  // The service cannot do it at present.
  SAGAZ_SAGA_WAIT_ENDED: [503, say('This process shuts down; the saga goes on.'), SOON],
  SAGAZ_TOO_MANY_SAGA_WAITS: [503, say('Too many requests wait; the saga goes on.'), SOON],
  SAGAZ_START_QUEUE_FULL: [503, say('Too many sagas wait for their start.'), SOON],
  SAGAZ_ENGINE_CLOSED: [503, say('This process shuts down.'), SOON],
  SAGAZ_DATABASE_UNREACHABLE: [503, say('The database does not answer.'), SOON],
  SAGAZ_NO_ANSWER: [503, say('The database does not answer.'), SOON],
  SAGAZ_LOCK_TIMEOUT: [503, say('Others work on the same data.'), SOON],
  SAGAZ_SAGA_WAIT_TIMEOUT: [504, say('The saga has not ended in time; it goes on.')],
};

/** Returns the answer for an error; undefined: the error is a fault of the service. */
export function httpAnswerOf(error: SagazError): HttpAnswer | undefined {
  if (error instanceof SagaRefusal) {
    return { status: 409, message: 'It was refused.', reason: error.reason };
  }
  if (error instanceof SagaFailedError) return ofOutcome(error);
  if (!Object.hasOwn(ANSWERS, error.code)) return undefined;
  const answer = ANSWERS[error.code];
  if (answer === undefined) return undefined;
  const [status, message, retryAfter] = answer;
  return {
    status,
    message: message(error),
    ...(retryAfter === undefined ? {} : { retryAfter }),
  };
}

/**
 * Returns the answer for a failed saga. One that was undone or terminated conflicts with the request;
 * for any other, a person must act.
 */
function ofOutcome({ outcome }: SagaFailedError): HttpAnswer | undefined {
  switch (outcome.status) {
    case 'compensated': {
      const { cause } = outcome.failure;
      const reason = cause.kind === 'step' ? cause.error.reason : undefined;
      return {
        status: 409,
        message: 'The saga failed, and what it had done was undone.',
        ...(typeof reason === 'string' ? { reason } : {}),
      };
    }
    case 'terminated':
      return { status: 409, message: 'The saga was terminated.' };
    case 'completed':
    case 'partially_committed':
    case 'needs_attention':
      return undefined;
  }
}

function withoutRemedy({ message, remedy }: SagazError): string {
  return message.endsWith(remedy) ? message.slice(0, -remedy.length).trim() : message;
}
