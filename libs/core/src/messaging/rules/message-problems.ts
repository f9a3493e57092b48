import { inspect } from 'node:util';
import { isLine } from './line.js';

/** Why a message cannot be sent as it is. */
export interface MessageProblem {
  /** `its key is ''`, to be put behind the message's name. */
  readonly problem: string;
  readonly remedy: string;
}

/**
 * The most bytes of a payload: a size that every broker takes and that a relay can read without filling
 * its memory.
 */
const LARGEST_PAYLOAD = 16 * 1_024 * 1_024;
/** The most bytes of tenant, topic and key together that an index of a store or broker takes. */
const LONGEST_KEY = 2_000;

/** Checks tenant, topic and key of a message; null: they are valid. Undefined ones are not checked. */
export function addressProblem(
  topic: string,
  { tenant, key }: { readonly tenant?: unknown; readonly key?: unknown },
): MessageProblem | null {
  if (key === '') {
    return {
      problem: 'its key is empty, and all such messages would wait for each other',
      remedy: 'Give a key that names what the message is about, or none.',
    };
  }
  let bytes = Buffer.byteLength(topic);
  for (const [name, value] of Object.entries({ key, tenant })) {
    if (value === undefined) continue;
    if (!isLine(value)) {
      return {
        problem: `its ${name} is ${inspect(value, { depth: 0 })}`,
        remedy: `Give a ${name} that is a text without control characters: String(id).`,
      };
    }
    bytes += Buffer.byteLength(value);
  }
  if (bytes <= LONGEST_KEY) return null;
  return {
    problem: `tenant, topic and key have ${bytes} bytes`,
    remedy: `Give them ${LONGEST_KEY} at most: a key is the id of what the message is about, or a digest of it.`,
  };
}

/** Checks a body; null: it is valid. */
export function payloadProblem(payload: Uint8Array): MessageProblem | null {
  if (payload.byteLength <= LARGEST_PAYLOAD) return null;
  return {
    problem: `its payload has ${payload.byteLength} bytes, and at most ${LARGEST_PAYLOAD} can be sent`,
    remedy: 'Put what is large where both sides reach it, and send where that is.',
  };
}
