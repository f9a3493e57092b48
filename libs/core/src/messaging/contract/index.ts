export { command, isCommand, type Command, type CommandCallOptions } from './command.js';
export { mayMakeCommands, withMadeCommands } from './made-commands.js';
export { InvalidContractError, MessageValidationError } from './errors.js';
export {
  defineCommand,
  defineEvent,
  topicOf,
  type CommandContract,
  type CommandOptions,
  type EventContract,
  type EventOptions,
  type MessageContract,
  type PayloadOf,
  type ReplyOf,
} from './message-contract.js';
export type { SchemaIssue, SchemaResult, StandardSchema } from './standard-schema.js';
export { replyProblem, validatePayload, validateReply } from './validate.js';
export { commandsWithoutHandledBy } from './unnamed-handlers.js';
