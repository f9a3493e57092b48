import { MessageValidationError } from './errors.js';
import type { CommandContract, MessageContract } from './message-contract.js';
import type { SchemaIssue, SchemaResult, StandardSchema } from './standard-schema.js';

function described(issue: SchemaIssue): string {
  if (issue.path === undefined || issue.path.length === 0) return issue.message;
  const path = issue.path.map((part) => String(typeof part === 'object' ? part.key : part));
  return `${path.join('.')}: ${issue.message}`;
}

async function checked<T>(
  schema: StandardSchema<T>,
  value: unknown,
  type: string,
  part: 'payload' | 'reply',
): Promise<T> {
  const result: SchemaResult<T> = await schema['~standard'].validate(value);
  if (result.issues !== undefined) {
    throw new MessageValidationError(type, part, result.issues.map(described));
  }
  return result.value;
}

/**
 * The payload as the contract's schema leaves it; as it is when the contract has none. Called when a
 * message is published and again before it is handled: a schema that transforms must bear both.
 *
 * @throws MessageValidationError
 */
export async function validatePayload<Payload>(
  contract: MessageContract<Payload>,
  payload: Payload,
): Promise<Payload> {
  const schema = contract.payloadSchema;
  return schema === undefined ? payload : checked(schema, payload, contract.type, 'payload');
}

/**
 * The same for the reply of a command.
 *
 * @throws MessageValidationError
 */
export async function validateReply<Reply>(
  contract: CommandContract<unknown, Reply>,
  reply: Reply,
): Promise<Reply> {
  const schema = contract.replySchema;
  return schema === undefined ? reply : checked(schema, reply, contract.type, 'reply');
}
