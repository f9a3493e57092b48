import { assertAwaitable, assertReadable } from '../codec/index.js';
import { MessageValidationError } from './errors.js';
import type { CommandContract, MessageContract } from './message-contract.js';
import { replySchemasOf } from './reply-schemas.js';
import type { SchemaIssue, SchemaResult, StandardSchema } from './standard-schema.js';

function described(issue: SchemaIssue): string {
  if (issue.path === undefined || issue.path.length === 0) return issue.message;
  const path = issue.path.map((part) => String(typeof part === 'object' ? part.key : part));
  return `${path.join('.')}: ${issue.message}`;
}

/** @throws UnserializableValueError where the schema threw because the value throws when it is read */
async function validated<T>(schema: StandardSchema<T>, value: unknown): Promise<SchemaResult<T>> {
  try {
    return await schema['~standard'].validate(value);
  } catch (error) {
    assertReadable(value);
    throw error;
  }
}

async function checked<T>(
  schema: StandardSchema<T>,
  value: unknown,
  type: string,
  part: 'payload' | 'reply',
): Promise<T> {
  const result = await validated(schema, value);
  if (result.issues !== undefined) {
    throw new MessageValidationError(type, part, result.issues.map(described));
  }
  assertAwaitable(result.value);
  return result.value;
}

/**
 * The problem of a reply that arrived, with its path in front; null if there is none, or if no
 * contract of the type has a schema in this process. If several have one, it is enough that one of
 * them accepts the reply.
 */
export async function replyProblem(type: string, reply: unknown): Promise<string | null> {
  let problem: string | null = null;
  for (const schema of replySchemasOf(type)) {
    const result = await schema['~standard'].validate(reply);
    if (result.issues === undefined) return null;
    const issues = result.issues.map(described).join('; ');
    problem ??= `The reply of '${type}' does not match its schema: ${issues}.`;
  }
  return problem;
}

/**
 * The payload as the contract's schema returns it, or unchanged if the contract has no schema. This is
 * called when a message is published and again before it is handled, so a schema that transforms must
 * accept its own result.
 *
 * @throws MessageValidationError
 * @throws UnserializableValueError where the value throws when it is read
 */
export async function validatePayload<Payload>(
  contract: MessageContract<Payload>,
  payload: Payload,
): Promise<Payload> {
  const schema = contract.payloadSchema;
  if (schema !== undefined) return checked(schema, payload, contract.type, 'payload');
  assertAwaitable(payload);
  return payload;
}

/**
 * The same as `validatePayload`, for the reply of a command.
 *
 * @throws MessageValidationError
 * @throws UnserializableValueError where the value throws when it is read
 */
export async function validateReply<Reply>(
  contract: CommandContract<unknown, Reply>,
  reply: Reply,
): Promise<Reply> {
  const schema = contract.replySchema;
  if (schema !== undefined) return checked(schema, reply, contract.type, 'reply');
  assertAwaitable(reply);
  return reply;
}
