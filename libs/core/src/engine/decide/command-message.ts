import { HEADERS, type OutboxMessage } from '../../ports/index.js';
import type { TaskRef, TraceHeaders } from '../journal/index.js';
import type { DecisionContext } from './decision.js';
import type { WaitRequest } from './saga-event.js';

/** The topic on which a service awaits the replies to its commands. */
export function replyTopicOf(service: string): string {
  return `${service}.replies`;
}

/** The command of a step or compensation as a message. */
export function commandMessage(
  context: DecisionContext,
  ref: TaskRef,
  idempotencyKey: string,
  timeoutMs: number,
  trace: TraceHeaders,
  { command, message }: WaitRequest,
): OutboxMessage {
  const { contract } = command;
  const headers: Record<string, string> = {
    ...trace,
    ...command.headers,
    ...message.headers,
    [HEADERS.role]: ref.role === 'compensation' ? 'compensation' : 'command',
    [HEADERS.sagaId]: context.sagaId,
    [HEADERS.step]: ref.step,
    [HEADERS.idempotencyKey]: idempotencyKey,
    [HEADERS.replyTo]: replyTopicOf(context.service),
    [HEADERS.correlationId]: context.sagaId,
  };
  if (ref.role !== 'compensation') {
    // By the store's clock. A compensation never expires: an undo is due however late it comes.
    const expiresAt = context.now + (contract.expiresInMs ?? timeoutMs);
    headers[HEADERS.expiresAt] = new Date(expiresAt).toISOString();
  }
  return {
    id: context.newMessageId(),
    tenant: context.tenant,
    topic: contract.topic,
    key: command.key ?? context.sagaId,
    type: contract.type,
    source: context.service,
    time: new Date(context.now).toISOString(),
    contentType: message.contentType,
    payload: message.payload,
    headers,
    ordered: true,
    delayMs: 0,
  };
}
