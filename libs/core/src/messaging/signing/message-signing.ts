import { createHmac, timingSafeEqual } from 'node:crypto';
import { HEADERS, type Message } from '../../ports/index.js';
import type { Distrust } from './distrust.js';
import { InvalidSigningKeyError } from './errors.js';
import { isSignable, signedBytes } from './signed-bytes.js';

const SHORTEST_KEY = 32;
const MOST_KEYS = 10;
const VERSION = 'v1';
const REMEDY =
  "Give keys of at least 32 random bytes, as text or Buffer, for example from 'openssl rand -base64 48'.";

/** The keys that services which trust each other have in common. */
export interface SigningOptions {
  /** The newest first, at most 10: the first one signs, and all of them are accepted. */
  readonly keys: readonly (string | Uint8Array)[];
  /**
   * How a message without a signature is treated. Use `accept` while signing is introduced service by
   * service. Default `refuse`.
   */
  readonly unsigned?: 'refuse' | 'accept';
}

interface Key {
  /** Names the key without revealing it. */
  readonly id: string;
  readonly bytes: Buffer;
}

/**
 * Signs messages and checks their signatures: HMAC-SHA256 (RFC 2104) over {@link signedBytes}, in the
 * header `sagaz-signature` as `v1=<key id>:<MAC in base64url>`. The same message always gets the same
 * signature, so a message that is published twice stays one message.
 *
 * It proves that a holder of a key wrote the message, not which of them, and not that it is new: a copy of
 * a whole message is still a duplicate for the inbox.
 */
export class MessageSigning {
  readonly #keys: readonly Key[];
  readonly #first: Key;
  readonly #acceptsUnsigned: boolean;

  /** @throws InvalidSigningKeyError */
  constructor({ keys, unsigned = 'refuse' }: SigningOptions) {
    if (keys.length > MOST_KEYS) {
      const remedy = `Give ${MOST_KEYS} at most: the newest, and those that messages on their way may still be signed with.`;
      throw new InvalidSigningKeyError(`there are ${keys.length}`, remedy);
    }
    this.#keys = keys.map((key, at) => keyOf(key, `key ${at + 1} of ${keys.length}`));
    const [first] = this.#keys;
    if (first === undefined) throw new InvalidSigningKeyError('there is none', REMEDY);
    if (new Set(this.#keys.map(({ bytes }) => bytes.toString('hex'))).size < keys.length) {
      throw new InvalidSigningKeyError('one key is there twice', 'Give each key once.');
    }
    this.#first = first;
    this.#acceptsUnsigned = unsigned === 'accept';
  }

  /**
   * The ids of the keys as they are in signatures, the signing key first. They do not reveal the keys.
   */
  get keyIds(): readonly string[] {
    return this.#keys.map(({ id }) => id);
  }

  get acceptsUnsigned(): boolean {
    return this.#acceptsUnsigned;
  }

  sign(message: Message): Message {
    const { id, bytes } = this.#first;
    const mac = macOf(bytes, signedBytes(message)).toString('base64url');
    const signature = `${VERSION}=${id}:${mac}`;
    return { ...message, headers: { ...message.headers, [HEADERS.signature]: signature } };
  }

  /**
   * Checks the signature of a message; null: a holder of one of the keys wrote exactly this message.
   */
  verify(message: Message): Distrust | null {
    const signature = message.headers[HEADERS.signature];
    if (signature === undefined) {
      if (this.#acceptsUnsigned) return null;
      return { reason: 'unsigned', problem: 'it is not signed' };
    }
    const [, id, given] = FORM.exec(signature) ?? [];
    if (id === undefined || given === undefined) return bad('its signature is none of version 1');
    const candidates = this.#keys.filter((key) => key.id === id);
    if (candidates.length === 0)
      return bad(`it is signed with the key ${id}, which is not known here`);
    if (!isSignable(message)) return bad('it holds halves of characters');
    const bytes = signedBytes(message);
    const mac = Buffer.from(given, 'base64url');
    const genuine = candidates.some((key) => timingSafeEqual(macOf(key.bytes, bytes), mac));
    return genuine ? null : bad('its signature is that of another message');
  }
}

/** 43 letters of base64url are 32 bytes: the comparison needs as many as it has. */
const FORM = /^v1=([0-9a-f]{8}):([A-Za-z0-9_-]{43})$/;

function bad(problem: string): Distrust {
  return { reason: 'bad_signature', problem };
}

function macOf(key: Buffer, bytes: Buffer): Buffer {
  return createHmac('sha256', key).update(bytes).digest();
}

function keyOf(given: unknown, name: string): Key {
  if (typeof given !== 'string' && !(given instanceof Uint8Array)) {
    throw new InvalidSigningKeyError(`${name} is neither text nor bytes`, REMEDY);
  }
  const bytes = Buffer.from(given);
  if (bytes.byteLength < SHORTEST_KEY) {
    throw new InvalidSigningKeyError(`${name} has ${bytes.byteLength} bytes`, REMEDY);
  }
  return { id: macOf(bytes, Buffer.from('sagaz-key-id')).toString('hex').slice(0, 8), bytes };
}
