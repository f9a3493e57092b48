import type { WakeChannel, WakeUps } from '../ports/index.js';

type Listener = (detail: string | undefined) => void;

/** Hints within one process: they arrive at once, in the turn after the one that gave them. */
export class MemoryWakeUps implements WakeUps {
  readonly #listeners = new Map<WakeChannel, Set<Listener>>();
  /** False loses every hint, as a dead listener would: what works then works by polling. */
  listening = true;

  hint(channel: WakeChannel, detail?: string): void {
    if (!this.listening) return;
    for (const listener of this.#listeners.get(channel) ?? []) {
      queueMicrotask(() => {
        try {
          listener(detail);
        } catch {
          // A hint never throws into whoever committed; a listener that fails is found by polling.
        }
      });
    }
  }

  on(channel: WakeChannel, listener: Listener): () => void {
    const listeners = this.#listeners.get(channel) ?? new Set();
    this.#listeners.set(channel, listeners);
    listeners.add(listener);
    return () => void listeners.delete(listener);
  }
}
