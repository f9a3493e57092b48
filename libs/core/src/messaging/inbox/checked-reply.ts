import { errorText } from '../../errors/index.js';
import { HEADERS, type Message } from '../../ports/index.js';
import { jsonCodec } from '../codec/index.js';
import { replyProblem } from '../contract/index.js';
import { negativeReply } from './reply.js';

/**
 * Checks a reply before its saga takes it. A reply that does not match the schema in the command's
 * contract becomes a failure with the reason `invalid_reply`, which names the path: the participant is
 * deployed separately, and a missing part of the result would otherwise cause an error in some later
 * step. The command was carried out, so the step counts as having had its effect and is compensated.
 * Repeating the command would bring no other answer, since the participant keeps its reply.
 *
 * A reply that matches stays as it is, byte for byte, also where the schema would transform it.
 */
export async function checkedReply(message: Message): Promise<Message> {
  const { headers } = message;
  const type = headers[HEADERS.commandType];
  if (headers[HEADERS.replyStatus] !== 'ok' || headers[HEADERS.repliesTo] === 'compensation') {
    return message;
  }
  if (type === undefined) return message;
  const problem = await problemOf(type, message.payload);
  if (problem === null) return message;
  const { status, contentType, payload } = negativeReply('failed', {
    reason: 'invalid_reply',
    details: { error: problem },
  });
  return {
    ...message,
    headers: { ...headers, [HEADERS.replyStatus]: status },
    contentType,
    payload,
  };
}

async function problemOf(type: string, payload: Uint8Array): Promise<string | null> {
  let value: unknown;
  try {
    value = jsonCodec.decode(payload);
  } catch {
    // The saga itself treats such a reply as unreadable.
    return null;
  }
  try {
    return await replyProblem(type, value);
  } catch (error) {
    return errorText(error);
  }
}
