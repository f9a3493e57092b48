import { propertyOf, valueText } from '../../errors/index.js';
import { parseDuration } from '../../retry/index.js';
import type { Duration } from '../../retry/index.js';
import { jsonCodec, type CodecFor, type PayloadCodec } from '../codec/index.js';
import { isLine } from '../rules/index.js';
import { checkOptions } from './check-options.js';
import { InvalidContractError } from './errors.js';
import { noteCommandContract } from './made-commands.js';
import { rememberReplyFormat } from './reply-formats.js';
import { noteUnnamedHandler } from './unnamed-handlers.js';
import type { StandardSchema } from './standard-schema.js';

/** Carries types for the compiler; it does not exist at run time. */
declare const TYPES: unique symbol;

interface Contract<Payload> {
  /** The type of the messages, for example `inventory.reserve`. */
  readonly type: string;
  readonly topic: string;
  readonly payloadSchema: StandardSchema<Payload> | undefined;
  /** Turns payloads into bytes and back. The compiler has checked that it fits the payload. */
  readonly codec: PayloadCodec;
  /** Names the schema of the payloads: CloudEvents `dataschema`. Null: it has no name. */
  readonly dataSchema: string | null;
}

/** A request of one service to another. The sender and the handler share one constant. */
export interface CommandContract<Payload = unknown, Reply = unknown> extends Contract<Payload> {
  readonly kind: 'command';
  readonly replySchema: StandardSchema<Reply> | undefined;
  /** Turns replies into bytes and back. The compiler has checked that it fits the reply. */
  readonly replyCodec: PayloadCodec;
  /**
   * After this time the command is not carried out any more, in milliseconds; null means for as long
   * as its sender waits.
   */
  readonly expiresInMs: number | null;
  /**
   * The service that handles the command: only its replies count. Null: a reply counts that names the
   * id of the command.
   */
  readonly handledBy: string | null;
  readonly [TYPES]?: { readonly payload: Payload; readonly reply: Reply };
}

/** A report that something happened. The publisher and the handlers share one constant. */
export interface EventContract<Payload = unknown> extends Contract<Payload> {
  readonly kind: 'event';
  readonly [TYPES]?: { readonly payload: Payload };
}

/** A contract made by `defineCommand` or `defineEvent`. */
export type MessageContract<Payload = unknown> = CommandContract<Payload> | EventContract<Payload>;

/** The payload of a contract. */
export type PayloadOf<C extends MessageContract> =
  C extends CommandContract<infer Payload>
    ? Payload
    : C extends EventContract<infer Payload>
      ? Payload
      : never;

/** The type of the reply to a command; never for an event. */
export type ReplyOf<C extends MessageContract> =
  C extends CommandContract<unknown, infer Reply> ? Reply : undefined;

/** Options of `defineEvent`. */
export interface EventOptions<Payload> {
  /**
   * Validates the payload at run time, when it is published and before it is handled. Under
   * `exactOptionalPropertyTypes` take the payload's type from the schema (zod: `z.infer`).
   */
  readonly payload?: StandardSchema<Payload>;
  /** The topic. Default: the first segment of the type. */
  readonly topic?: string;
  /**
   * Turns payloads into bytes and back, the same on both sides. A message with a content type that it
   * does not read becomes a dead letter. Default: JSON.
   */
  readonly codec?: CodecFor<Payload>;
  /**
   * Names the schema of the payloads, and with it their version, by an absolute URI:
   * `https://acme.test/schemas/order-confirmed/2`, `urn:acme:order-confirmed:2`. It is sent as the
   * CloudEvents attribute `dataschema`, for codecs and for consumers of other systems. Default: none.
   */
  readonly dataSchema?: string;
}

/** Options of `defineCommand`. */
export interface CommandOptions<Payload, Reply> extends EventOptions<Payload> {
  /** Validates the reply at run time, before it is sent and when it arrives. */
  readonly reply?: StandardSchema<Reply>;
  /**
   * Turns replies into bytes and back, the same on both sides. What it decodes becomes the result of a
   * step, so JSON must be able to hold it. Refusals and failures are JSON always. Default: JSON.
   */
  readonly replyCodec?: CodecFor<Reply>;
  /** After this time the command is refused. Default: as long as its sender waits for the reply. */
  readonly expiresIn?: Duration;
  /**
   * The service (its option `service`) that handles the command. Replies of other services are
   * ignored. Default: a reply of any service counts if it names the id of the command.
   */
  readonly handledBy?: string;
}

const EVENT_OPTIONS = ['payload', 'topic', 'codec', 'dataSchema'];
const COMMAND_OPTIONS = [...EVENT_OPTIONS, 'reply', 'replyCodec', 'expiresIn', 'handledBy'];

const NAME = /^[A-Za-z][A-Za-z0-9_-]*$/;
const LONGEST_NAME = 200;
const LONGEST_DATA_SCHEMA = 2_000;

function checkedName(name: string, what: 'message type' | 'topic'): string {
  if (
    typeof name !== 'string' ||
    name.length > LONGEST_NAME ||
    !name.split('.').every((segment) => NAME.test(segment))
  ) {
    throw new InvalidContractError(
      name,
      `${valueText(name)} is no ${what}.`,
      `Write segments of letters, digits, '-' and '_', each begun by a letter and joined by dots, ` +
        `at most ${LONGEST_NAME} characters in all, such as 'inventory.reserve'.`,
    );
  }
  return name;
}

/**
 * The topic of a message type without a topic of its own: its first segment (`inventory.reserve` →
 * `inventory`).
 */
export function topicOf(type: string): string {
  const dot = type.indexOf('.');
  return dot === -1 ? type : type.slice(0, dot);
}

function checkedService(service: unknown, type: string): string | null {
  if (service === undefined) return null;
  if (isLine(service) && service !== '') return service;
  throw new InvalidContractError(
    service,
    `The option handledBy of the command '${type}' is ${valueText(service)}.`,
    "Give the name of the service that handles it, as its option service has it: 'inventory-service'.",
  );
}

function checkedSchema<T>(
  schema: StandardSchema<T> | undefined,
  type: string,
): StandardSchema<T> | undefined {
  if (schema === undefined) return undefined;
  const standard = propertyOf(schema, '~standard');
  if (typeof propertyOf(standard, 'validate') !== 'function') {
    throw new InvalidContractError(
      schema,
      `A schema of '${type}' is ${valueText(schema)}, which is no Standard Schema.`,
      'Give a schema of zod, valibot, arktype or another library that implements Standard Schema.',
    );
  }
  return schema;
}

function checkedCodec<T>(codec: CodecFor<T> | undefined, type: string): PayloadCodec {
  if (codec === undefined) return jsonCodec;
  const contentType = propertyOf(codec, 'contentType');
  const called = ['encode', 'decode'].every(
    (name) => typeof propertyOf(codec, name) === 'function',
  );
  if (called && isLine(contentType) && contentType !== '') return codec;
  throw new InvalidContractError(
    codec,
    `A codec of '${type}' is ${valueText(codec)}, which is no codec.`,
    "Give an object with contentType ('application/x-protobuf'), encode(value) and decode(bytes).",
  );
}

function checkedDataSchema(name: unknown, type: string): string | null {
  if (name === undefined) return null;
  if (isLine(name) && name.length <= LONGEST_DATA_SCHEMA && URL.canParse(name)) return name;
  throw new InvalidContractError(
    name,
    `The option dataSchema of '${type}' is ${valueText(name)}, which is no absolute URI.`,
    `Give a URI of at most ${LONGEST_DATA_SCHEMA} characters, as CloudEvents wants it: 'urn:acme:order-confirmed:2'.`,
  );
}

function contractOf<Payload>(
  kind: 'command' | 'event',
  type: string,
  options: EventOptions<Payload>,
): Contract<Payload> {
  checkedName(type, 'message type');
  const names = kind === 'command' ? COMMAND_OPTIONS : EVENT_OPTIONS;
  checkOptions(`the ${kind} '${type}'`, options, names);
  return {
    type,
    topic: options.topic === undefined ? topicOf(type) : checkedName(options.topic, 'topic'),
    payloadSchema: checkedSchema(options.payload, type),
    codec: checkedCodec(options.codec, type),
    dataSchema: checkedDataSchema(options.dataSchema, type),
  };
}

/**
 * Defines a command. Two calls, so that the types are given and the rest is inferred:
 *
 * ```ts
 * export const ReserveStock = defineCommand<Reserve, Reserved>()('inventory.reserve');
 * ```
 *
 * Without types they are those of its schemas and codecs:
 *
 * ```ts
 * export const ReserveStock = defineCommand()('inventory.reserve', { codec: reserve, replyCodec: reserved });
 * ```
 *
 * @throws InvalidContractError, InvalidDurationError
 */
export function defineCommand(): <Payload, Reply = void>(
  type: string,
  options?: CommandOptions<Payload, Reply>,
) => CommandContract<Payload, Reply>;
export function defineCommand<Payload, Reply = void>(): (
  type: string,
  options?: CommandOptions<Payload, Reply>,
) => CommandContract<Payload, Reply>;
export function defineCommand() {
  return <Payload, Reply>(
    type: string,
    options: CommandOptions<Payload, Reply> = {},
  ): CommandContract<Payload, Reply> => {
    const contract = {
      kind: 'command' as const,
      ...contractOf('command', type, options),
      replySchema: checkedSchema(options.reply, type),
      replyCodec: checkedCodec(options.replyCodec, type),
      expiresInMs:
        options.expiresIn === undefined
          ? null
          : parseDuration(options.expiresIn, `expiresIn of '${type}'`),
      handledBy: checkedService(options.handledBy, type),
    };
    rememberReplyFormat(type, { codec: contract.replyCodec, schema: contract.replySchema });
    noteCommandContract();
    if (contract.handledBy === null) noteUnnamedHandler(type);
    return Object.freeze(contract);
  };
}

/**
 * Defines an event:
 *
 * ```ts
 * export const OrderConfirmed = defineEvent<{ orderId: string }>()('order.confirmed');
 * ```
 *
 * Without a type it is that of its schema or codec.
 *
 * @throws InvalidContractError
 */
export function defineEvent(): <Payload>(
  type: string,
  options?: EventOptions<Payload>,
) => EventContract<Payload>;
export function defineEvent<Payload>(): (
  type: string,
  options?: EventOptions<Payload>,
) => EventContract<Payload>;
export function defineEvent() {
  return <Payload>(type: string, options: EventOptions<Payload> = {}): EventContract<Payload> =>
    Object.freeze({ kind: 'event' as const, ...contractOf('event', type, options) });
}
