import { Catch, HttpException, type ArgumentsHost } from '@nestjs/common';
import { BaseExceptionFilter } from '@nestjs/core';
import { SagazError } from '@sagaz/core';
import { throwError } from 'rxjs';
import { httpAnswerOf, type HttpAnswer } from './http-answers.js';

/**
 * Answers HTTP requests that end with an error of Sagaz by a status that tells the client what to do:
 *
 * - 400 the input is invalid (`InvalidStartError`, `InvalidArgumentError`, a payload that its schema refuses),
 * - 404 there is no such saga (`SagaNotFoundError`),
 * - 409 the idempotency key was used with other content (`IdempotencyConflictError`), a participant refused
 *   (`SagaRefusal`), or the saga was undone (`SagaFailedError`); `reason` says why where it is known,
 * - 503 with `Retry-After`: the process shuts down (`SagaWaitEndedError`), holds as many starts or waits as it may
 *   (`StartQueueFullError`, `TooManySagaWaitsError`), or cannot reach its database,
 * - 504 the saga goes on longer than the request waits (`SagaWaitTimeoutError`).
 *
 * The body has `statusCode`, `message`, `code` and, where there is one, `sagaId`. Any other error stays
 * a 500 and is logged. Errors of message handlers pass through unchanged.
 *
 * ```ts
 * providers: [{ provide: APP_FILTER, useClass: SagazExceptionFilter }]
 * ```
 */
@Catch(SagazError)
export class SagazExceptionFilter extends BaseExceptionFilter<SagazError> {
  /** Called by Nest with the error that a request or a message ended with. */
  override catch(error: SagazError, host: ArgumentsHost): unknown {
    if (host.getType() === 'rpc') return throwError(() => error);
    // GraphQL and others report errors in a way of their own.
    if (host.getType() !== 'http') throw error;
    const answer = httpAnswerOf(error);
    if (answer === undefined) {
      super.catch(error, host);
      return undefined;
    }
    const server = this.applicationRef ?? this.httpAdapterHost?.httpAdapter;
    if (answer.retryAfter !== undefined) {
      const seconds = String(answer.retryAfter);
      server?.setHeader(host.switchToHttp().getResponse(), 'Retry-After', seconds);
    }
    const told = new HttpException(bodyOf(error, answer), answer.status);
    // A second filter is used, because the parameter type of this one allows errors of Sagaz only.
    new BaseExceptionFilter(server).catch(told, host);
    return undefined;
  }
}

function bodyOf(
  error: SagazError,
  { status, message, reason }: HttpAnswer,
): Readonly<Record<string, unknown>> {
  const sagaId: unknown = Reflect.get(error, 'sagaId');
  // For a conflict the id would be that of another caller's saga, which used the key first.
  const own = error.code !== 'SAGAZ_IDEMPOTENCY_CONFLICT' && typeof sagaId === 'string';
  return {
    statusCode: status,
    message,
    code: error.code,
    ...(reason === undefined ? {} : { reason }),
    ...(own ? { sagaId } : {}),
  };
}
