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
export { readArrivedReply, validatePayload, validateReply, type ArrivedReply } from './validate.js';
export { decodePayload, encodePayload, type EncodedPayload } from './bodies.js';
export { commandsWithoutHandledBy } from './unnamed-handlers.js';
