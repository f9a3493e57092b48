/**
 * - `outbox`: something was committed to the outbox.
 * - `saga`: a saga is due or has mail.
 * - `ended`: a saga has ended; the detail is its id.
 * - `queue:<group>`: a consumer group has messages.
 */
export type WakeChannel = 'outbox' | 'saga' | 'ended' | `queue:${string}`;

/** Answers `true` when it sees to all that the hint is about, so that no other process has to. */
export type WakeListener = (detail: string | undefined) => unknown;

/**
 * Hints between processes. A hint may be lost, late or repeated: polling is what guarantees, this
 * only makes it quick. Nothing here ever throws into the caller.
 */
export interface WakeUps {
  /**
   * After a commit: wakes listeners of this process at once, others soon, coalesced; others not at
   * all where a listener here answers `true`.
   */
  hint(channel: WakeChannel, detail?: string): void;
  on(channel: WakeChannel, listener: WakeListener): () => void;
  /** False while hints of other processes do not arrive; then polling serves. */
  readonly listening: boolean;
}
