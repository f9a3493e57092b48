import { isCommand, mayMakeCommands, withMadeCommands, type Command } from '@sagaz/core';
import { CommandInHandlerError } from './errors.js';

const NONE: ReadonlySet<Command> = new Set();

/**
 * Runs a handler, and refuses its end if it made a command: only a step of a saga sends one, by
 * returning it, so the command would be lost without a word.
 *
 * @param type the type of the handled message
 * @throws CommandInHandlerError
 */
export async function withoutCommands(
  type: string,
  handler: () => Promise<unknown>,
): Promise<unknown> {
  const { value, made } = mayMakeCommands()
    ? await withMadeCommands(handler)
    : { value: await handler(), made: NONE };
  const [command = isCommand(value) ? value : undefined] = made;
  if (command !== undefined) throw new CommandInHandlerError(type, command.contract.type);
  return value;
}
