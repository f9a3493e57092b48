import { valueText } from '../../errors/index.js';
import { isLine } from './line.js';
import { LONGEST_KEY } from './longest-key.js';

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
        problem: `its ${name} is ${valueText(value)}`,
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

/**
 * The longest that an index entry of PostgreSQL takes is 2,704 bytes. A command's idempotency key has to
 * fit into one with its tenant, where commands are remembered that were carried out.
 */
const LONGEST_IDEMPOTENCY_ENTRY = 2_600;

/** The problem with the idempotency key of a command, or null if there is none. */
export function idempotencyKeyProblem(tenant: string, key: string): MessageProblem | null {
  const bytes = Buffer.byteLength(tenant) + Buffer.byteLength(key);
  if (bytes <= LONGEST_IDEMPOTENCY_ENTRY) return null;
  return {
    problem: `its tenant and its idempotency key, of which its item is a part, have ${bytes} bytes`,
    remedy: `Give it an item so short that they have ${LONGEST_IDEMPOTENCY_ENTRY} at most: an id, or a digest.`,
  };
}

/** The problem with a saga's tenant and idempotency key, two texts that were checked, or null if there is none. */
export function startKeyProblem(tenant: string, key: string): MessageProblem | null {
  const bytes = Buffer.byteLength(tenant) + Buffer.byteLength(key);
  if (bytes <= LONGEST_KEY) return null;
  return {
    problem: `tenant and idempotencyKey have ${bytes} bytes`,
    remedy: `Give them ${LONGEST_KEY} at most together: a key is the id of what the saga is about, or a digest of it.`,
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
