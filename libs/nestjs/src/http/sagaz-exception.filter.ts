import { Catch, HttpException, type ArgumentsHost } from '@nestjs/common';
import { BaseExceptionFilter } from '@nestjs/core';
import { SagazError } from '@sagaz/core';
import { throwError } from 'rxjs';
import { httpAnswerOf, type HttpAnswer } from './http-answers.js';

/**
 * Answers HTTP requests that end with an error of Sagaz by the status that says whose turn it is:
 *
 * - 400 what was given cannot be taken (`InvalidStartError`, a payload that its schema refuses),
 * - 404 there is no such saga (`SagaNotFoundError`),
 * - 409 the idempotency key was used with other content (`IdempotencyConflictError`), a participant refused
 *   (`SagaRefusal`), or the saga was undone (`SagaFailedError`); `reason` says why where it is known,
 * - 503 with `Retry-After`: the process shuts down (`SagaWaitEndedError`), holds as many starts or waits as it may
 *   (`StartQueueFullError`, `TooManySagaWaitsError`), or cannot reach its database,
 * - 504 the saga goes on longer than the request waits (`SagaWaitTimeoutError`).
 *
 * The body has `statusCode`, `message`, `code` and, where there is one, `sagaId`. Everything else stays a
 * 500 and is logged. Errors of message handlers pass through unchanged.
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
    // GraphQL and others: their own way of telling an error knows what to do with this one.
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
    // Another one, because the parameter's type is that of the errors a filter is declared for.
    new BaseExceptionFilter(server).catch(told, host);
    return undefined;
  }
}

function bodyOf(
  error: SagazError,
  { status, message, reason }: HttpAnswer,
): Readonly<Record<string, unknown>> {
  const sagaId: unknown = Reflect.get(error, 'sagaId');
  // Of a conflict it would be the saga of whoever used the key first.
  const own = error.code !== 'SAGAZ_IDEMPOTENCY_CONFLICT' && typeof sagaId === 'string';
  return {
    statusCode: status,
    message,
    code: error.code,
    ...(reason === undefined ? {} : { reason }),
    ...(own ? { sagaId } : {}),
  };
}
