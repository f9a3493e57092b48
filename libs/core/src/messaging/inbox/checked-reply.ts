import { errorText } from '../../errors/index.js';
import { HEADERS, type Message } from '../../ports/index.js';
import { jsonCodec } from '../codec/index.js';
import { replyProblem } from '../contract/index.js';
import { negativeReply } from './reply.js';

/**
 * A reply as its saga may take it. One that does not match the schema in the command's contract becomes
 * a failure, reason `invalid_reply`, which names the path: the participant is another deployable, and
 * what a step's result does not have would be missed in some later step. The command was carried out, so
 * this is a failure whose effect is there: the step is compensated, and no repetition would
 * bring another answer, since the participant has kept this one.
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
    // The saga says of it that it is unreadable.
    return null;
  }
  try {
    return await replyProblem(type, value);
  } catch (error) {
    return errorText(error);
  }
}
