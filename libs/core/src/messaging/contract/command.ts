import { parseDuration } from '../../retry/index.js';
import type { Duration } from '../../retry/index.js';
import { checkOptions } from './check-options.js';
import { InvalidContractError } from './errors.js';
import type { CommandContract } from './message-contract.js';

/** Marks a {@link Command}. Registered, because two copies of this package may meet. */
export const COMMAND: unique symbol = Symbol.for('sagaz.command');
declare const REPLY: unique symbol;

/** What a step returns to ask another service for something; the step's result is the reply. */
export interface Command<Reply = unknown> {
  readonly [COMMAND]: true;
  readonly [REPLY]?: Reply;
  readonly contract: CommandContract<unknown, Reply>;
  readonly payload: unknown;
  /** Part of the idempotency key, for a step that sends one command per item; null: none. */
  readonly item: string | null;
  /** Messages of one topic and key stay in order; null: the saga's id. */
  readonly key: string | null;
  readonly headers: Readonly<Record<string, string>>;
  /** How long to wait for the reply; null: as the step says. */
  readonly timeoutMs: number | null;
}

export interface CommandCallOptions {
  readonly item?: string;
  readonly key?: string;
  /** Names are made lower-case. Names that begin with `sagaz-` or `ce_` are refused. */
  readonly headers?: Readonly<Record<string, string>>;
  /** How long to wait for the reply. Default: the step's `replyTimeout`. */
  readonly timeout?: Duration;
}

/** C0 control characters and DEL. */
const UNPRINTABLE = /\p{Cc}/u;
const LONGEST_KEY = 500;

function checkedText(
  value: string | undefined,
  what: 'item' | 'key',
  type: string,
  forbidden: RegExp,
): string | null {
  if (value === undefined) return null;
  if (
    typeof value !== 'string' ||
    value === '' ||
    value.length > LONGEST_KEY ||
    forbidden.test(value)
  ) {
    throw new InvalidContractError(
      value,
      `${JSON.stringify(value)} cannot be the ${what} of a command '${type}'.`,
      what === 'item'
        ? `Use 1 to ${LONGEST_KEY} characters without '#' and control characters.`
        : `Use 1 to ${LONGEST_KEY} characters without control characters.`,
    );
  }
  return value;
}

function checkedHeaders(
  headers: Readonly<Record<string, string>>,
  type: string,
): Readonly<Record<string, string>> {
  const lower: Record<string, string> = {};
  for (const [name, value] of Object.entries(headers)) {
    const key = name.toLowerCase();
    if (!/^[a-z0-9_.-]+$/.test(key) || key.startsWith('sagaz-') || key.startsWith('ce_')) {
      throw new InvalidContractError(
        name,
        `'${name}' cannot be a header of '${type}'.`,
        "Use letters, digits, '-', '_' and '.', and leave names that begin with 'sagaz-' or 'ce_' to Sagaz.",
      );
    }
    // Brokers carry headers as lines of text, some of them literally.
    if (typeof value !== 'string' || UNPRINTABLE.test(value)) {
      throw new InvalidContractError(
        value,
        `The header '${name}' of '${type}' is no line of text.`,
        'Use a string without line breaks and control characters.',
      );
    }
    lower[key] = value;
  }
  return Object.freeze(lower);
}

/**
 * A command as the value of a step or of a compensation: the engine sends it in the transaction that
 * records the step, the saga sleeps, and the reply becomes the step's result.
 *
 * ```ts
 * @SagaStep() reserve(@SagaInput() o: PlaceOrder) { return command(ReserveStock, { orderId: o.id }); }
 * ```
 *
 * @throws InvalidContractError, InvalidDurationError
 */
export function command<Payload, Reply>(
  contract: CommandContract<Payload, Reply>,
  payload: NoInfer<Payload>,
  options: CommandCallOptions = {},
): Command<Reply> {
  checkOptions(`command('${contract.type}')`, options, ['item', 'key', 'headers', 'timeout']);
  const value: Command<Reply> = {
    [COMMAND]: true,
    contract,
    payload,
    // `#` begins the generation in an idempotency key: 'a#1' must not mean item 'a' run again.
    item: checkedText(options.item, 'item', contract.type, /[#\p{Cc}]/u),
    key: checkedText(options.key, 'key', contract.type, UNPRINTABLE),
    headers: checkedHeaders(options.headers ?? {}, contract.type),
    timeoutMs:
      options.timeout === undefined
        ? null
        : parseDuration(options.timeout, `timeout of '${contract.type}'`),
  };
  return Object.freeze(value);
}

/** Whether a step's value is a command, also of another installed copy of the package. */
export function isCommand(value: unknown): value is Command {
  return typeof value === 'object' && value !== null && COMMAND in value;
}
