import type { WakeChannel, WakeUps } from '../ports/index.js';

type Listener = (detail: string | undefined) => void;

/** Hints within one process. They arrive in the next turn of the event loop. */
export class MemoryWakeUps implements WakeUps {
  readonly #listeners = new Map<WakeChannel, Set<Listener>>();
  /** False drops every hint, as if the listener were dead; all work then depends on polling. */
  listening = true;

  hint(channel: WakeChannel, detail?: string): void {
    if (!this.listening) return;
    for (const listener of this.#listeners.get(channel) ?? []) {
      queueMicrotask(() => {
        try {
          listener(detail);
        } catch {
          // An error of a listener must not reach the code that committed; polling makes up for the
          // lost hint.
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
