import { errorText } from '../../errors/index.js';
import {
  assertAwaitable,
  assertReadable,
  decodeBody,
  jsonCodec,
  type Body,
} from '../codec/index.js';
import { MessageValidationError } from './errors.js';
import type { CommandContract, MessageContract } from './message-contract.js';
import { replyFormatsOf } from './reply-formats.js';
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

async function issuesOf(
  schema: StandardSchema | undefined,
  value: unknown,
): Promise<readonly SchemaIssue[] | undefined> {
  return schema === undefined ? undefined : (await validated(schema, value)).issues;
}

/** A reply that has arrived, as the contracts of its command see it. */
export type ArrivedReply =
  /** `json`: its body is what {@link jsonCodec} reads. */
  | { readonly kind: 'value'; readonly value: unknown; readonly json: boolean }
  | { readonly kind: 'problem'; readonly problem: string };

/**
 * Reads a reply that has arrived, with the codec and schema of its command's contract. If the process has
 * several contracts of the type, it is enough that one of them reads and accepts the reply.
 *
 * @param type of the command; undefined: the reply names none, and JSON is expected
 * @param strictly whether the schema is asked
 * @returns the value as its codec read it (a schema that transforms does not count), or the first problem
 * @throws the error of a schema that throws, where no other contract accepts the reply: the reply may be right
 */
export async function readArrivedReply(
  type: string | undefined,
  body: Body,
  strictly: boolean,
): Promise<ArrivedReply> {
  const what = type === undefined ? 'A reply' : `The reply of '${type}'`;
  let problem: string | null = null;
  let thrown: { readonly error: unknown } | null = null;
  for (const { codec, schema } of replyFormatsOf(type)) {
    let value: unknown;
    try {
      value = decodeBody(codec, body, what);
    } catch (error) {
      problem ??= errorText(error);
      continue;
    }
    try {
      const issues = strictly ? await issuesOf(schema, value) : undefined;
      if (issues === undefined) return { kind: 'value', value, json: codec === jsonCodec };
      problem ??= `${what} does not match its schema: ${issues.map(described).join('; ')}.`;
    } catch (error) {
      thrown ??= { error };
    }
  }
  if (thrown !== null) throw thrown.error;
  return { kind: 'problem', problem: problem ?? `${what} could not be read.` };
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
