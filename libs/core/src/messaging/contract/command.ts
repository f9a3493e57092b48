import { propertyOf, valueText } from '../../errors/index.js';
import { parseDuration } from '../../retry/index.js';
import type { Duration } from '../../retry/index.js';
import { HEADER_REMEDY, addressProblem, isLine, userHeaders } from '../rules/index.js';
import { checkOptions } from './check-options.js';
import { InvalidContractError } from './errors.js';
import { noteMade } from './made-commands.js';
import type { CommandContract } from './message-contract.js';

/**
 * Marks a {@link Command}. The symbol is registered, because a process may have two copies of this
 * package.
 */
export const COMMAND: unique symbol = Symbol.for('sagaz.command');
declare const REPLY: unique symbol;

/**
 * The value that a step returns to send a command to another service; the reply becomes the step's
 * result.
 */
export interface Command<Reply = unknown> {
  readonly [COMMAND]: true;
  readonly [REPLY]?: Reply;
  readonly contract: CommandContract<unknown, Reply>;
  readonly payload: unknown;
  /**
   * A part of the idempotency key, for a step that sends one command per item; null if the step sends
   * only one.
   */
  readonly item: string | null;
  /** Messages of one topic and key stay in order; null means the saga's id. */
  readonly key: string | null;
  readonly headers: Readonly<Record<string, string>>;
  /** How long to wait for the reply, in milliseconds; null means the step's `replyTimeout`. */
  readonly timeoutMs: number | null;
}

/** Options of one command that a step or compensation returns. */
export interface CommandCallOptions {
  /** Names the command among several of one step; it becomes part of the idempotency key. At most 500 characters, without `#`. */
  readonly item?: string;
  /** Commands of a topic with the same key are delivered in order. Default: the id of the saga. */
  readonly key?: string;
  /** Names are made lower-case. Names that begin with `sagaz-` or `ce_`, and `content-type`, are refused. */
  readonly headers?: Readonly<Record<string, string>>;
  /** How long to wait for the reply. Default: the step's `replyTimeout`. */
  readonly timeout?: Duration;
}

const LONGEST_ITEM = 500;

/**
 * `#` is not allowed, because an idempotency key that ends in `#<generation>` is kept for a run after an undo:
 * 'a#1' could otherwise also mean that item 'a' is run again.
 */
function checkedItem(item: unknown, type: string): string | null {
  if (item === undefined) return null;
  if (isLine(item) && item !== '' && item.length <= LONGEST_ITEM && !item.includes('#')) {
    return item;
  }
  throw new InvalidContractError(
    item,
    `${valueText(item)} cannot be the item of a command '${type}'.`,
    `Use 1 to ${LONGEST_ITEM} characters without '#' and control characters.`,
  );
}

function checkedKey(key: string | undefined, { type, topic }: CommandContract): string | null {
  const found = addressProblem(topic, { key });
  if (found !== null) {
    throw new InvalidContractError(
      key,
      `The command '${type}' cannot be sent so: ${found.problem}.`,
      found.remedy,
    );
  }
  return key ?? null;
}

/**
 * Checks the contract, which is undefined when two files import each other and the other one is not
 * loaded yet.
 */
function checkCommandContract(contract: unknown): void {
  const [kind, type, topic] = ['kind', 'type', 'topic'].map((name) => propertyOf(contract, name));
  if (kind === 'command' && typeof type === 'string' && typeof topic === 'string') return;
  throw new InvalidContractError(
    contract,
    `The contract of a command is ${valueText(contract)}.`,
    'Give what defineCommand() returns. Where an import is undefined, two files import each other.',
  );
}

/**
 * A command as the value of a step or of a compensation: the engine sends it in the transaction that
 * records the step, the saga sleeps, and the reply becomes the step's result.
 *
 * ```ts
 * @SagaStep() reserve(@SagaInput() o: PlaceOrder) { return command(ReserveStock, { orderId: o.id }); }
 * ```
 *
 * A command that a step makes and does not return would be sent nowhere: its attempt fails.
 *
 * @throws InvalidContractError, InvalidDurationError
 */
export function command<Payload, Reply>(
  contract: CommandContract<Payload, Reply>,
  payload: NoInfer<Payload>,
  options: CommandCallOptions = {},
): Command<Reply> {
  checkCommandContract(contract);
  checkOptions(`command('${contract.type}')`, options, ['item', 'key', 'headers', 'timeout']);
  const value: Command<Reply> = {
    [COMMAND]: true,
    contract,
    payload,
    item: checkedItem(options.item, contract.type),
    key: checkedKey(options.key, contract),
    headers: Object.freeze(
      userHeaders(options.headers, (header, problem) => {
        const said = `The header '${header}' of '${contract.type}' ${problem}.`;
        return new InvalidContractError(header, said, HEADER_REMEDY);
      }),
    ),
    timeoutMs:
      options.timeout === undefined
        ? null
        : parseDuration(options.timeout, `timeout of '${contract.type}'`),
  };
  noteMade(value);
  return Object.freeze(value);
}

/**
 * Whether a step's value is a command, also one of another installed copy of the package. The answer
 * is no for a value that throws when it is read; storing it is refused later.
 */
export function isCommand(value: unknown): value is Command {
  return propertyOf(value, COMMAND) === true;
}
