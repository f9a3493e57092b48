/** A method that has not settled after this time is taken for one that hangs; in milliseconds. */
const PATIENCE_MS = 200;

/**
 * Promises that settle in the host's time, beside a virtual clock. Each is waited for once and for a
 * limited time, because a test may be about a method that hangs.
 */
export class HostWork {
  readonly #fresh = new Set<Promise<void>>();

  add(result: unknown): void {
    if (!isThenable(result)) return;
    const end = (): void => {
      this.#fresh.delete(settled);
    };
    const settled: Promise<void> = Promise.resolve(result).then(end, end);
    this.#fresh.add(settled);
  }

  /** Resolves when each promise has settled, or its time is over. */
  async settled(): Promise<void> {
    while (this.#fresh.size > 0) {
      const these = [...this.#fresh];
      let stop: () => void = () => undefined;
      const patience = new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, PATIENCE_MS);
        stop = () => clearTimeout(timer);
      });
      await Promise.race([Promise.all(these), patience]);
      stop();
      for (const one of these) this.#fresh.delete(one);
      // The engine continues after the method's end in a later turn of the event loop.
      await new Promise<void>((resolve) => setImmediate(resolve));
    }
  }
}

function isThenable(value: unknown): value is PromiseLike<unknown> {
  return typeof value === 'object' && value !== null && 'then' in value;
}
