import {
  addressProblem,
  encodePayload,
  idempotencyKeyProblem,
  payloadProblem,
  validatePayload,
  type Command,
} from '../../messaging/index.js';
import type { AttemptResult } from '../decide/index.js';
import { CommandWithoutBrokerError, StepAbortedError, UnsendableCommandError } from '../errors.js';
import { taskKeyOf } from '../journal/index.js';
import type { Attempt } from './attempt.js';

/** The result of an attempt whose method returned a command. Throws if the command cannot be sent. */
export async function preparedCommand(attempt: Attempt, command: Command): Promise<AttemptResult> {
  const { engine, run, start, aborted } = attempt;
  const { role, step } = start;
  if (aborted !== null) throw new StepAbortedError(step, aborted);
  const { id, tenant, definition } = run;
  const { contract, key } = command;
  const facts = [definition.name, step, role, contract.type] as const;
  if (!engine.hearsReplies) throw new CommandWithoutBrokerError(...facts);
  const message = encodePayload(contract, await validatePayload(contract, command.payload));
  const found =
    addressProblem(contract.topic, { tenant, key: key ?? id }) ??
    idempotencyKeyProblem(tenant, taskKeyOf(id, start, command.item)) ??
    payloadProblem(message.payload);
  if (found !== null) throw new UnsendableCommandError(...facts, found.problem, found.remedy);
  return { kind: 'waits', request: { kind: 'reply', command, message } };
}
