/**
 * The number of slots. It is a constant of the schema, since changing it would put one key into two
 * slots.
 */
export const SLOT_COUNT = 256;

const encoder = new TextEncoder();

/** MurmurHash3 x86 32-bit (public domain algorithm by Austin Appleby) over UTF-8. */
function murmur3(bytes: Uint8Array, seed: number): number {
  let hash = seed | 0;
  const blocks = bytes.length & ~3;
  for (let i = 0; i < blocks; i += 4) {
    let k =
      (bytes[i] ?? 0) |
      ((bytes[i + 1] ?? 0) << 8) |
      ((bytes[i + 2] ?? 0) << 16) |
      ((bytes[i + 3] ?? 0) << 24);
    k = Math.imul(k, 0xcc9e2d51);
    k = (k << 15) | (k >>> 17);
    hash ^= Math.imul(k, 0x1b873593);
    hash = (hash << 13) | (hash >>> 19);
    hash = (Math.imul(hash, 5) + 0xe6546b64) | 0;
  }
  let tail = 0;
  for (let i = bytes.length - 1; i >= blocks; i -= 1) tail = (tail << 8) | (bytes[i] ?? 0);
  if (blocks !== bytes.length) {
    tail = Math.imul(tail, 0xcc9e2d51);
    tail = (tail << 15) | (tail >>> 17);
    hash ^= Math.imul(tail, 0x1b873593);
  }
  hash ^= bytes.length;
  hash ^= hash >>> 16;
  hash = Math.imul(hash, 0x85ebca6b);
  hash ^= hash >>> 13;
  hash = Math.imul(hash, 0xc2b2ae35);
  return (hash ^ (hash >>> 16)) | 0;
}

/** The slot of a key, and the number that is locked to put its messages in order. */
export interface KeyPlace {
  /** 0 … {@link SLOT_COUNT} - 1. */
  readonly slot: number;
  /** A signed 32-bit number. Two keys may share it, which leads to waits but never to a wrong order. */
  readonly lock: number;
}

/**
 * The slot and the lock number of a key. Defined here and not by the database, because every
 * version of every producer must agree for ever. The parts are separated by NUL, which no part may
 * hold, so that ('a', 'bc') and ('ab', 'c') differ.
 */
export function placeOfKey(tenant: string, topic: string, key: string): KeyPlace {
  const bytes = encoder.encode(`${tenant}\u0000${topic}\u0000${key}`);
  return { slot: (murmur3(bytes, 0) >>> 0) % SLOT_COUNT, lock: murmur3(bytes, 0x53414741) };
}

/**
 * The 64-bit number, as a decimal text, by which a consumer group locks a key while it handles one of its
 * messages, and finds what of the key is in its landing queue. Defined here for the same reason as
 * {@link placeOfKey}. Two keys may share it: they then wait for each other, and never come out of order.
 */
export function hashOfLine(group: string, tenant: string, topic: string, key: string): string {
  return hash64(`${group}\u0000${tenant}\u0000${topic}\u0000${key}`);
}

/** The same for a message that keeps no order, by what tells it from all others of its group. */
export function hashOfMessage(group: string, tenant: string, source: string, id: string): string {
  return hash64(`${group}\u0000${tenant}\u0000${source}\u0000${id}\u0000`);
}

function hash64(text: string): string {
  const bytes = encoder.encode(text);
  const high = BigInt(murmur3(bytes, 0x4c414e44)) << 32n;
  return (high | BigInt(murmur3(bytes, 0x494e4721) >>> 0)).toString();
}
