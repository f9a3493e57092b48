import { setTimeout as sleep } from 'node:timers/promises';

/** How long a renewal waits for changes that are under way, in milliseconds. */
const LONGEST_WAIT_MS = 500;

/**
 * Lets the renewal of leases and the changes of messages take turns within a process. Both lock the same
 * lease rows and skip those that they do not get. Without turns a process that makes one change after
 * the other would find its own leases locked at every renewal, until they expire.
 */
export class LeaseTurns {
  readonly #changes = new Set<Promise<unknown>>();
  readonly #renewals = new Set<Promise<unknown>>();

  /** Makes a change when no renewal is under way. */
  async change<T>(make: () => Promise<T>): Promise<T> {
    while (this.#renewals.size > 0) await Promise.allSettled(this.#renewals);
    return under(this.#changes, make());
  }

  /** Renews when the changes under way have ended, but does not wait for long. */
  renew<T>(renew: () => Promise<T>): Promise<T> {
    return under(this.#renewals, this.#renewAfter([...this.#changes], renew));
  }

  async #renewAfter<T>(changes: readonly Promise<unknown>[], renew: () => Promise<T>): Promise<T> {
    if (changes.length > 0) {
      const waiting = new AbortController();
      const longest = sleep(LONGEST_WAIT_MS, undefined, { signal: waiting.signal, ref: false });
      await Promise.race([Promise.allSettled(changes), longest.catch(() => undefined)]);
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
