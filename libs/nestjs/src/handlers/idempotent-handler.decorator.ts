import { applyDecorators, SetMetadata, UseInterceptors } from '@nestjs/common';
import { MessagePattern } from '@nestjs/microservices';
import { valueText, type Command, type MessageContract } from '@sagaz/core';
import type { Observable } from 'rxjs';
import { HandlerSetupError } from './errors.js';
import {
  HANDLER_METADATA,
  SAGAZ_TRANSPORT,
  type HandlerMetadata,
  type HandlerOptions,
  type PayloadFor,
  type ReplyFor,
} from './handler-metadata.js';
import { InboxInterceptor } from './inbox.interceptor.js';
import { isTimeLimit, TIME_LIMIT_REMEDY } from './time-limit.js';

type Handler = (...parameters: never[]) => unknown;

type Answer<M extends Handler> =
  Awaited<ReturnType<M>> extends Observable<infer Value> ? Value : Awaited<ReturnType<M>>;

type PayloadVerdict<C, M extends Handler> =
  Parameters<M> extends readonly []
    ? unknown
    : [PayloadFor<C>] extends [Parameters<M>[0]]
      ? unknown
      : { readonly __error: 'the first parameter does not take the payload of this message' };

/** Whether the type is that of a command, or one of several with a command among them. */
type HasCommand<Value> = 0 extends 1 & Value
  ? false
  : [Extract<Value, Command>] extends [never]
    ? false
    : true;

type ReplyVerdict<C, M extends Handler> =
  HasCommand<Answer<M>> extends true
    ? { readonly __error: 'only a step of a saga can send a command by returning it; publish it' }
    : [Answer<M>] extends [ReplyFor<C>]
      ? unknown
      : { readonly __error: 'the returned value is not the reply of this command' };

/**
 * Makes a method handle the messages of a contract. Their effects happen once per consumer group,
 * however often the broker delivers them. The method runs inside Nest's pipeline and in a transaction:
 * the writes of its repositories, the messages that it publishes and, for a command, the value that it
 * returns (the reply) are committed together with the record that the message is done.
 *
 * An error that the method throws rolls everything back, and the message is tried again.
 * `NonRetryableError`, a 4xx `HttpException` and a payload that does not match its schema make it a
 * dead letter at once. `SagaRefusal` answers a command with a business "no".
 *
 * ```ts
 * @IdempotentHandler(ReserveStock)
 * async reserve(@Payload() order: Reserve): Promise<Reserved> { … }
 * ```
 *
 * The payload is the method's first parameter. Needs `connectSagaz(app)` in main.ts.
 */
export function IdempotentHandler<C extends MessageContract>(
  contract: C,
  options: HandlerOptions = {},
) {
  return <M extends Handler>(
    target: object,
    key: string | symbol,
    descriptor: TypedPropertyDescriptor<M> & PayloadVerdict<C, M> & ReplyVerdict<C, M>,
  ): void => {
    const method = `${target.constructor.name}.${String(key)}`;
    assertMeant(method, contract, options);
    assertDecorated(method, target, key, descriptor.value);
    const sagaz: HandlerMetadata = { ...options, contract, method };
    applyDecorators(
      MessagePattern(contract.type, SAGAZ_TRANSPORT, { sagaz }),
      SetMetadata(HANDLER_METADATA, sagaz),
      UseInterceptors(InboxInterceptor),
    )(target, key, descriptor);
  };
}

const OPTIONS: readonly string[] = [
  'group',
  'retry',
  'timeout',
  'maxCrashes',
  'onDead',
  'connection',
];
const GROUP = /^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$/;

/**
 * Checks arguments that the compiler may not have checked, since a misspelt option would be noticed
 * only in production.
 */
function assertMeant(method: string, contract: unknown, given: unknown): void {
  if (typeof contract !== 'object' || contract === null) {
    throw new HandlerSetupError(
      [method],
      `its contract is ${valueText(contract)}.`,
      'Give what defineEvent() or defineCommand() returns. Where an import is undefined, two files import each other.',
    );
  }
  if (typeof given !== 'object' || given === null || Array.isArray(given)) {
    throw new HandlerSetupError(
      [method],
      `its options are ${valueText(given)}.`,
      `Give { ${OPTIONS.join(', ')} } or some of them.`,
    );
  }
  const options: Readonly<Record<string, unknown>> = { ...given };
  for (const name of Object.keys(options)) {
    if (OPTIONS.includes(name)) continue;
    throw new HandlerSetupError(
      [method],
      `@IdempotentHandler has no option '${name}'.`,
      `Give ${OPTIONS.slice(0, -1).join(', ')} or ${OPTIONS.at(-1) ?? ''}.`,
    );
  }
  const { timeout, maxCrashes, onDead, group } = options;
  if (timeout !== undefined && !isTimeLimit(timeout)) {
    throw new HandlerSetupError(
      [method],
      `its timeout is ${valueText(timeout)}.`,
      TIME_LIMIT_REMEDY,
    );
  }
  if (maxCrashes !== undefined && !isCount(maxCrashes)) {
    throw new HandlerSetupError(
      [method],
      `its maxCrashes is ${valueText(maxCrashes)}.`,
      'Give a whole number from 1 to 100.',
    );
  }
  if (onDead !== undefined && onDead !== 'skip' && onDead !== 'block') {
    throw new HandlerSetupError(
      [method],
      `its onDead is ${valueText(onDead)}.`,
      "Give 'skip' (later messages of the key go on) or 'block' (they wait for the dead letter).",
    );
  }
  if (onDead === 'block' && Reflect.get(contract, 'kind') === 'command') {
    throw new HandlerSetupError(
      [method],
      "its onDead is 'block', and it handles a command: the sagas behind a dead letter would wait for a person.",
      'Leave onDead out: a command that becomes a dead letter is answered as failed, and its saga compensates.',
    );
  }
  if (group !== undefined && !(typeof group === 'string' && GROUP.test(group))) {
    throw new HandlerSetupError(
      [method],
      `its group is ${valueText(group)}.`,
      "Use letters, digits, '.', '-' and '_', at most 100.",
    );
  }
}

/** Whether the value is a valid count. The compiler may not have checked it. */
function isCount(given: unknown): boolean {
  return typeof given === 'number' && Number.isInteger(given) && given >= 1 && given <= 100;
}

/**
 * The metadata key under which Nest stores parameter decorators. Nest exports no constant for it in
 * both major versions.
 */
const PARAMETERS = '__routeArguments__';

/**
 * Refuses a method with undecorated parameters beside decorated ones, because Nest then passes the
 * decorated ones only: `(order, @Ctx() context)` would be called without its order.
 */
function assertDecorated(
  method: string,
  target: object,
  key: string | symbol,
  handler: Handler | undefined,
): void {
  const said: unknown = Reflect.getMetadata(PARAMETERS, target.constructor, key);
  if (typeof said !== 'object' || said === null || handler === undefined) return;
  const decorated = new Set(
    Object.values(said).map((one: unknown) =>
      typeof one === 'object' && one !== null ? (Reflect.get(one, 'index') as unknown) : undefined,
    ),
  );
  for (let index = 0; index < handler.length; index += 1) {
    if (decorated.has(index)) continue;
    throw new HandlerSetupError(
      [method],
      `parameter ${index + 1} has no decorator and another one has, so Nest would leave it undefined.`,
      index === 0
        ? 'Write @Payload() before it.'
        : 'Write @Ctx() before it for the MessageContext, or remove it.',
    );
  }
}
