/** Lets at most `limit` pieces of work run at once; the others wait in the order they came. */
export class ConcurrencyLimit {
  readonly #waiting = new Set<() => void>();
  #free: number;

  constructor(limit: number) {
    this.#free = limit;
  }

  /** @param unwanted aborted: work that still waits leaves the queue, and its reason is thrown */
  async run<T>(work: () => Promise<T>, unwanted?: AbortSignal): Promise<T> {
    unwanted?.throwIfAborted();
    if (this.#free > 0) this.#free -= 1;
    else await this.#turn(unwanted);
    try {
      return await work();
    } finally {
      const [next] = this.#waiting;
      if (next === undefined) this.#free += 1;
      else next();
    }
  }

  #turn(unwanted: AbortSignal | undefined): Promise<void> {
    return new Promise((resolve, reject) => {
      const begin = (): void => {
        this.#waiting.delete(begin);
        unwanted?.removeEventListener('abort', leave);
        resolve();
      };
      const leave = (): void => {
        this.#waiting.delete(begin);
        reject(asError(unwanted?.reason));
      };
      this.#waiting.add(begin);
      unwanted?.addEventListener('abort', leave, { once: true });
    });
  }
}

function asError(reason: unknown): Error {
  return reason instanceof Error ? reason : new Error('It is not wanted any more.');
}
