import { HEADERS, type Clock, type Message } from '../../ports/index.js';
import { negativeReply, replyMessage } from '../inbox/index.js';

/** The reason in the reply to a command that never reached a broker. */
export const UNDELIVERABLE = 'undeliverable';

/** The role of a message to which a saga awaits an answer; null for any other message. */
export function awaitedRole(message: Message): 'command' | 'compensation' | null {
  const role = message.headers[HEADERS.role];
  if (role !== 'command' && role !== 'compensation') return null;
  return message.headers[HEADERS.sagaId] === undefined ? null : role;
}

/**
 * Makes the reply that the receiver of a command would have sent if the command had failed there. The
 * saga waits for a reply, and a command that the relay gives up will never arrive.
 */
export function undeliverableReply(command: Message, error: string, clock: Clock): Message | null {
  const role = awaitedRole(command);
  if (role === null) return null;
  const reply = negativeReply('failed', { reason: UNDELIVERABLE, details: { error } });
  return replyMessage(command, command.headers[HEADERS.replyTo] ?? '', role, reply, {
    service: command.source,
    time: clock.date().toISOString(),
  });
}
