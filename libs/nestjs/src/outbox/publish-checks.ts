import {
  addressProblem,
  payloadProblem,
  valueText,
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

/** @throws InvalidPublishError when it is no contract, for instance because of a circular import */
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
    valueText(contract),
    'it is no contract',
    'Give what defineEvent() or defineCommand() returns. Where an import is undefined, two files import each other.',
  );
}

/**
 * Checks options that the compiler may not have checked. They are checked at the call, because
 * otherwise the database would refuse them at the commit and the whole transaction would fail.
 *
 * @throws InvalidPublishError
 */
export function checkOptions({ type, topic }: MessageContract, options: unknown): void {
  if (typeof options !== 'object' || options === null || Array.isArray(options)) {
    throw new InvalidPublishError(
      type,
      `its options are ${valueText(options)}`,
      `Give { ${[...OPTIONS].join(', ')} } or some of them.`,
    );
  }
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
      problem: `ordered is ${valueText(ordered)}`,
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
