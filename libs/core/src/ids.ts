import { randomFillSync, randomUUID } from 'node:crypto';

const random = new Uint8Array(16);
let lastMs = -1;
let counter = 0;

/**
 * A UUIDv7 (RFC 9562, section 6.2, method 1: a counter in `rand_a` keeps the ids of one process in
 * order within a millisecond and when the host's clock steps back).
 */
export function newId(): string {
  let ms = Date.now();
  if (ms <= lastMs) {
    ms = lastMs;
    counter += 1;
    if (counter > 0xfff) {
      ms += 1;
      counter = 0;
    }
  } else {
    counter = 0;
  }
  lastMs = ms;
  randomFillSync(random);
  const time = ms.toString(16).padStart(12, '0');
  const variant = (((random[8] ?? 0) & 0x3f) | 0x80).toString(16).padStart(2, '0');
  let tail = '';
  for (let i = 9; i < 16; i += 1) tail += (random[i] ?? 0).toString(16).padStart(2, '0');
  const sequence = counter.toString(16).padStart(3, '0');
  return `${time.slice(0, 8)}-${time.slice(8)}-7${sequence}-${variant}${tail.slice(0, 2)}-${tail.slice(2)}`;
}

/** A random id, for incarnations and transitions. */
export function newNonce(): string {
  return randomUUID();
}
