import { inspect } from 'node:util';
import {
  addressProblem,
  payloadProblem,
  type MessageContract,
  type MessageProblem,
} from '@sagaz/core';
import { InvalidPublishError } from './errors.js';

const OPTIONS = new Set([
  'key',
  'ordered',
  'delay',
  'headers',
  'tenant',
  'manager',
  'connection',
  'standalone',
]);

/** @throws InvalidPublishError where it is no contract, as an import that is not there yet */
export function checkContract(contract: unknown): void {
  if (
    typeof contract === 'object' &&
    contract !== null &&
    'type' in contract &&
    typeof contract.type === 'string' &&
    'topic' in contract &&
    typeof contract.topic === 'string'
  ) {
    return;
  }
  throw new InvalidPublishError(
    inspect(contract, { depth: 0 }),
    'it is no contract',
    'Give what defineEvent() or defineCommand() returns. Where an import is undefined, two files import each other.',
  );
}

/**
 * What the compiler has not seen: options that came from somewhere else. Said at the call, because the
 * database would say it at the commit, and of a whole transaction.
 *
 * @throws InvalidPublishError
 */
export function checkOptions({ type, topic }: MessageContract, options: object): void {
  const unknown = Object.keys(options).find((name) => !OPTIONS.has(name));
  if (unknown !== undefined) {
    refuse(type, {
      problem: `there is no option '${unknown}'`,
      remedy: `Give one of ${[...OPTIONS].join(', ')}.`,
    });
  }
  refuse(type, addressProblem(topic, options));
  const { ordered }: { ordered?: unknown } = options;
  if (ordered !== undefined && typeof ordered !== 'boolean') {
    refuse(type, {
      problem: `ordered is ${inspect(ordered, { depth: 0 })}`,
      remedy: 'Give true or false.',
    });
  }
}

/** @throws InvalidPublishError */
export function checkSize(type: string, payload: Uint8Array): Uint8Array {
  refuse(type, payloadProblem(payload));
  return payload;
}

function refuse(type: string, found: MessageProblem | null): void {
  if (found !== null) throw new InvalidPublishError(type, found.problem, found.remedy);
}
