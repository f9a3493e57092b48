import { newId } from '../../ids.js';
import { HEADERS, type KeptReply, type Message, type OutboxMessage } from '../../ports/index.js';
import { jsonCodec, recordText } from '../codec/index.js';
import { payloadProblem } from '../rules/index.js';
import { untrustedDigest } from '../signing/untrusted-mark.js';
import { partOfMalformed } from './message-role.js';

/** CloudEvents type of every reply. */
export const REPLY_TYPE = 'sagaz.reply';

/** The body of a reply that is not `ok`. */
export interface NegativeReply {
  /** A stable, machine-readable code: the refusal's reason, or why the command failed. */
  readonly reason: string;
  readonly details?: unknown;
}

export function okReply(contentType: string, payload: Uint8Array): KeptReply {
  return { type: REPLY_TYPE, status: 'ok', contentType, payload };
}

export function negativeReply(status: 'refused' | 'failed', body: NegativeReply): KeptReply {
  const { contentType } = jsonCodec;
  return { type: REPLY_TYPE, status, contentType, payload: encoded(body) };
}

function encoded(body: NegativeReply): Uint8Array {
  // Details that JSON or a message cannot hold are left out, so that they do not turn a refusal into an
  // error.
  try {
    const payload = Buffer.from(recordText(body) ?? '');
    if (payloadProblem(payload) === null) return payload;
  } catch {
    // The details are left out below.
  }
  return jsonCodec.encode({ reason: body.reason });
}

/** The reply of failure to a command that is given up; null: nobody waits for one. */
export function failureReply(
  command: Message,
  body: NegativeReply,
  from: { readonly service: string; readonly time: string },
): OutboxMessage | null {
  // A forged message could make a step of any saga fail.
  if (untrustedDigest(command) !== undefined) return null;
  const part = partOfMalformed(command);
  if (part.role === 'event' || part.replyTo === null) return null;
  const reply = negativeReply('failed', body);
  return replyMessage(command, part.replyTo, part.role, reply, from);
}

/** Makes the message that carries a reply back to the sender of the command. */
export function replyMessage(
  command: Message,
  replyTo: string,
  repliesTo: 'command' | 'compensation',
  reply: KeptReply,
  from: { readonly service: string; readonly time: string },
): OutboxMessage {
  const headers: Record<string, string> = {
    [HEADERS.role]: 'reply',
    [HEADERS.repliesTo]: repliesTo,
    [HEADERS.replyStatus]: reply.status,
    [HEADERS.commandType]: command.type,
    [HEADERS.causationId]: command.id,
  };
  for (const name of [
    HEADERS.sagaId,
    HEADERS.step,
    HEADERS.idempotencyKey,
    HEADERS.correlationId,
    'traceparent',
    'tracestate',
  ]) {
    const value = command.headers[name];
    if (value !== undefined) headers[name] = value;
  }
  return {
    id: newId(),
    tenant: command.tenant,
    topic: replyTo,
    key: command.headers[HEADERS.sagaId] ?? command.key,
    type: reply.type,
    source: from.service,
    time: from.time,
    contentType: reply.contentType,
    payload: reply.payload,
    headers,
    ordered: true,
    delayMs: 0,
  };
}
