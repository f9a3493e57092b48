import { randomUUID } from 'node:crypto';

let lastMs = -1;
let counter = 0;
let prefixMs = -1;
let prefix = '';

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
  if (ms !== prefixMs) {
    // To write a number beyond 31 bits in hexadecimal takes most of the time of an id.
    const time = ms.toString(16).padStart(12, '0');
    prefix = `${time.slice(0, 8)}-${time.slice(8)}-7`;
    prefixMs = ms;
  }
  const sequence = counter.toString(16).padStart(3, '0');
  // From the variant on, both versions are random and alike; Node draws those of randomUUID in advance.
  return prefix + sequence + randomUUID().slice(18);
}

/** A random id, for incarnations and transitions. */
export function newNonce(): string {
  return randomUUID();
}
