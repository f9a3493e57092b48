import { HEADERS, type OutboxMessage } from '../../ports/index.js';
import type { TaskRef, TraceHeaders } from '../journal/index.js';
import type { Surroundings } from './decision.js';
import type { AttemptResult } from './happening.js';

/** The topic on which a service awaits the replies to its commands. */
export function replyTopicOf(service: string): string {
  return `${service}.replies`;
}

/** The command of a step or compensation as a message. */
export function commandMessage(
  around: Surroundings,
  ref: TaskRef,
  idempotencyKey: string,
  timeoutMs: number,
  trace: TraceHeaders,
  { command, message }: Extract<AttemptResult, { kind: 'command' }>,
): OutboxMessage {
  const { contract } = command;
  const headers: Record<string, string> = {
    ...trace,
    ...command.headers,
    [HEADERS.role]: ref.role === 'compensation' ? 'compensation' : 'command',
    [HEADERS.sagaId]: around.sagaId,
    [HEADERS.step]: ref.step,
    [HEADERS.idempotencyKey]: idempotencyKey,
    [HEADERS.replyTo]: replyTopicOf(around.service),
    [HEADERS.correlationId]: around.sagaId,
  };
  if (ref.role !== 'compensation') {
    // By the store's clock. A compensation never expires: an undo is due however late it comes.
    const expiresAt = around.now + (contract.expiresInMs ?? timeoutMs);
    headers[HEADERS.expiresAt] = new Date(expiresAt).toISOString();
  }
  return {
    id: around.newMessageId(),
    tenant: around.tenant,
    topic: contract.topic,
    key: command.key ?? around.sagaId,
    type: contract.type,
    source: around.service,
    time: new Date(around.now).toISOString(),
    contentType: message.contentType,
    payload: message.payload,
    headers,
    ordered: true,
    delayMs: 0,
  };
}
