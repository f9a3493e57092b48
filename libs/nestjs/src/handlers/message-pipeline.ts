import {
  decodePayload,
  validatePayload,
  validateReply,
  HEADERS,
  type InboxAttempt,
  type InboxUnit,
  type Message,
  asError,
} from '@sagaz/core';
import { isObservable, lastValueFrom } from 'rxjs';
import { nextOrdinal, type Connection } from '../enlist/index.js';
import { withLogFields } from '../logging/index.js';
import { traceIdOf, withHeaders, withTraceOf } from '../outbox/index.js';
import type { DeclaredHandler } from './handler-set.js';
import { MessageContext, type Decoded } from './message-context.js';
import { withoutNestsReport } from './quiet-attempts.js';
import { inHandlerTransaction } from './transaction-manager.decorator.js';

/** Adapts the transactions of a connection to the interface of the inbox. */
function unitOf(connection: Connection): InboxUnit {
  return {
    run: (body, last) =>
      connection.run(
        async ({ transaction, enlisted, manager }) => {
          const published: Promise<void>[] = [];
          const result = await inHandlerTransaction(manager, () =>
            body(transaction, (message) => {
              published.push(enlisted.publish(nextOrdinal(), message));
            }),
          );
          await Promise.all(published);
          return result;
        },
        last === undefined ? {} : { last },
      ),
  };
}

async function decode({ contract }: DeclaredHandler, message: Message): Promise<Decoded> {
  try {
    return { payload: await validatePayload(contract, decodePayload(contract, message)) };
  } catch (error) {
    return { problem: asError(error) };
  }
}

/**
 * The headers of messages that a handler publishes: the ids of the message that caused them and of the
 * whole piece of work.
 */
function headersFrom({ id, headers }: Message): Record<string, string> {
  return {
    [HEADERS.causationId]: id,
    [HEADERS.correlationId]: headers[HEADERS.correlationId] ?? id,
  };
}

/**
 * Calls a handler through Nest's pipeline. The result of the pipeline says nothing about the message,
 * because filters turn errors into answers and the other way round; the attempt records how it ended.
 */
export async function callHandler(handler: DeclaredHandler, attempt: InboxAttempt): Promise<void> {
  const { contract, connection } = handler;
  const { message } = attempt;
  const decoded = await decode(handler, message);
  const context = new MessageContext(
    attempt,
    unitOf(connection),
    decoded,
    () => decode(handler, message),
    async (value) =>
      contract.kind === 'command' && attempt.role === 'command'
        ? validateReply(contract, value)
        : value,
  );
  const sagaId = message.headers[HEADERS.sagaId];
  const step = message.headers[HEADERS.step];
  const traceId = traceIdOf(message.headers);
  const fields = {
    messageId: message.id,
    messageType: message.type,
    ...(sagaId === undefined ? {} : { sagaId }),
    ...(step === undefined ? {} : { step }),
    ...(traceId === undefined ? {} : { traceId }),
  };
  await withLogFields(fields, () =>
    withTraceOf(message.headers, () =>
      withHeaders(headersFrom(message), async () => {
        await withoutNestsReport(async () => {
          const answer: unknown = await handler.invoke(decoded.payload, context);
          if (isObservable(answer)) await lastValueFrom(answer, { defaultValue: undefined });
        });
      }),
    ),
  );
}
