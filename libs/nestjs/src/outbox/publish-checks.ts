import { inspect } from 'node:util';
import type { MessageContract } from '@sagaz/core';
import { InvalidPublishError } from './errors.js';

/** What the relay can carry at once on every broker, and read without filling its memory. */
const LARGEST_PAYLOAD = 16 * 1_024 * 1_024;
/** The longest that an index of a store or broker takes for tenant, topic and key together. */
const LONGEST_KEY = 2_000;
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
/** Controls, NUL among them, which PostgreSQL takes in no text; and halves of characters. */
const UNPRINTABLE = /[\p{Cc}\p{Cs}]/u;

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
  const refuse = (problem: string, remedy: string): never => {
    throw new InvalidPublishError(type, problem, remedy);
  };
  const unknown = Object.keys(options).find((name) => !OPTIONS.has(name));
  if (unknown !== undefined) {
    refuse(`there is no option '${unknown}'`, `Give one of ${[...OPTIONS].join(', ')}.`);
  }
  const { key, tenant, ordered }: { key?: unknown; tenant?: unknown; ordered?: unknown } = options;
  if (key === '') {
    refuse(
      'its key is empty, and all such messages would wait for each other',
      'Give a key that names what the message is about, or none.',
    );
  }
  for (const [name, value] of Object.entries({ key, tenant })) {
    if (value === undefined) continue;
    if (typeof value !== 'string' || UNPRINTABLE.test(value)) {
      refuse(
        `its ${name} is ${inspect(value, { depth: 0 })}`,
        `Give a ${name} that is a text without control characters: String(id).`,
      );
    }
  }
  const bytes = Buffer.byteLength(`${textOf(tenant)}${topic}${textOf(key)}`);
  if (bytes > LONGEST_KEY) {
    refuse(
      `tenant, topic and key have ${bytes} bytes`,
      `Give them ${LONGEST_KEY} at most: a key is the id of what the message is about, or a digest of it.`,
    );
  }
  if (ordered !== undefined && typeof ordered !== 'boolean') {
    refuse(`ordered is ${inspect(ordered, { depth: 0 })}`, 'Give true or false.');
  }
}

/** @throws InvalidPublishError */
export function checkSize(type: string, payload: Uint8Array): Uint8Array {
  if (payload.byteLength <= LARGEST_PAYLOAD) return payload;
  throw new InvalidPublishError(
    type,
    `its payload has ${payload.byteLength} bytes, and at most ${LARGEST_PAYLOAD} can be sent`,
    'Put what is large where both sides reach it, and send where that is.',
  );
}

function textOf(value: unknown): string {
  return typeof value === 'string' ? value : '';
}
