import { errorText } from '../../errors/index.js';
import { HEADERS, type Message } from '../../ports/index.js';
import { jsonCodec, recordText } from '../codec/index.js';
import { readArrivedReply, type ArrivedReply } from '../contract/index.js';
import { payloadProblem } from '../rules/index.js';
import { negativeReply } from './reply.js';

/**
 * Makes of a reply what its saga takes: JSON, checked. A reply that its command's codec cannot read, or
 * that does not match the schema in the command's contract, becomes a failure with the reason
 * `invalid_reply`, which names the path: the participant is deployed separately, and a missing part of the
 * result would otherwise cause an error in some later step. The command was carried out, so the step
 * counts as having had its effect and is compensated. Repeating the command would bring no other answer,
 * since the participant keeps its reply.
 *
 * A reply in JSON that matches stays as it is, byte for byte, also where the schema would transform it. The
 * value of another codec is written as JSON, which the journal holds. The reply to a compensation says
 * that the effect is undone, whatever its body is; a body that cannot be read is left out.
 */
export async function checkedReply(message: Message): Promise<Message> {
  const { headers } = message;
  if (headers[HEADERS.replyStatus] !== 'ok') return message;
  const undoing = headers[HEADERS.repliesTo] === 'compensation';
  const read = await readArrivedReply(headers[HEADERS.commandType], message, !undoing);
  const body = bodyOf(read);
  if (body === null) return message;
  if (body instanceof Uint8Array) return withJson(message, body);
  if (undoing) return withJson(message, NOTHING);
  const { status, contentType, payload } = negativeReply('failed', {
    reason: 'invalid_reply',
    details: { error: body.problem },
  });
  return {
    ...message,
    headers: { ...headers, [HEADERS.replyStatus]: status },
    contentType,
    payload,
  };
}

const NOTHING = new Uint8Array(0);

function withJson(message: Message, payload: Uint8Array): Message {
  return { ...message, contentType: jsonCodec.contentType, payload };
}

/** The body as JSON; null: it is JSON already. */
function bodyOf(read: ArrivedReply): Uint8Array | null | { readonly problem: string } {
  if (read.kind === 'problem') return read;
  if (read.json) return null;
  try {
    const payload = Buffer.from(recordText(read.value) ?? '');
    const found = payloadProblem(payload);
    return found === null ? payload : { problem: `As JSON ${found.problem}.` };
  } catch (error) {
    return { problem: errorText(error) };
  }
}
