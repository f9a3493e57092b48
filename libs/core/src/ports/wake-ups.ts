/**
 * - `outbox`: a message was committed to the outbox.
 * - `saga`: a saga is due or has mail.
 * - `ended`: a saga has ended; the detail is its id.
 * - `queue:<group>`: a consumer group has messages.
 */
export type WakeChannel = 'outbox' | 'saga' | 'ended' | `queue:${string}`;

/**
 * Returns `true` if this process handles everything that the hint is about, so that no other process is
 * woken.
 */
export type WakeListener = (detail: string | undefined) => unknown;

/**
 * Hints between processes. A hint may be lost, late or repeated. It only saves time: polling finds the
 * work in any case. No method throws.
 */
export interface WakeUps {
  /**
   * Call it after a commit. It wakes the listeners of this process at once, and those of others soon
   * and together, unless a listener here returns `true`.
   */
  hint(channel: WakeChannel, detail?: string): void;
  on(channel: WakeChannel, listener: WakeListener): () => void;
  /** False while hints of other processes do not arrive, so that only polling finds work. */
  readonly listening: boolean;
}
