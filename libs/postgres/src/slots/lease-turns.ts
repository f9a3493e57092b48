import { setTimeout as sleep } from 'node:timers/promises';

/** How long a renewal waits for notes that are being written, in milliseconds. */
const LONGEST_WAIT_MS = 500;

/**
 * Lets the renewal of leases and the notes of suspects take turns within a process. Both write the same
 * lease rows and skip those that they find locked: a note that met a renewal would look like a lost lease.
 * A renewal that goes on beside a slow note misses the one lease of that note, and asks again soon.
 */
export class LeaseTurns {
  readonly #notes = new Set<Promise<unknown>>();
  readonly #renewals = new Set<Promise<unknown>>();

  /** Writes a note when no renewal is under way. */
  async note<T>(write: () => Promise<T>): Promise<T> {
    while (this.#renewals.size > 0) await Promise.allSettled(this.#renewals);
    return under(this.#notes, write());
  }

  /** Renews when the notes under way are written, but does not wait for long. */
  renew<T>(renew: () => Promise<T>): Promise<T> {
    return under(this.#renewals, this.#renewAfter([...this.#notes], renew));
  }

  async #renewAfter<T>(notes: readonly Promise<unknown>[], renew: () => Promise<T>): Promise<T> {
    if (notes.length > 0) {
      const waiting = new AbortController();
      const longest = sleep(LONGEST_WAIT_MS, undefined, { signal: waiting.signal, ref: false });
      await Promise.race([Promise.allSettled(notes), longest.catch(() => undefined)]);
      waiting.abort();
    }
    return renew();
  }
}

/** Keeps a promise in the set until it is settled. */
async function under<T>(those: Set<Promise<unknown>>, one: Promise<T>): Promise<T> {
  those.add(one);
  try {
    return await one;
  } finally {
    those.delete(one);
  }
}
