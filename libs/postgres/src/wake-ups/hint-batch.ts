import type { WakeChannel } from '@sagaz/core';

/** The most bytes of one NOTIFY; PostgreSQL takes less than 8,000. */
const LARGEST_PAYLOAD = 7_900;

/**
 * The most details of a channel. More ids do not fit into one NOTIFY, and while none can be sent the
 * batch must not grow.
 */
const MOST_DETAILS = 250;

/** The details by channel; null: the hint may be about anything. */
type Details = Map<WakeChannel, Set<string> | null>;

/** Hints that are sent together. A hint without a detail includes all with one. */
export class HintBatch {
  readonly #hints: Details = new Map();
  #count = 0;

  /** How many hints were added, equal ones included. */
  get count(): number {
    return this.#count;
  }

  get empty(): boolean {
    return this.#hints.size === 0;
  }

  add(channel: WakeChannel, detail: string | undefined): void {
    this.#count += 1;
    if (detail === undefined) {
      this.#hints.set(channel, null);
      return;
    }
    const details = this.#hints.get(channel);
    if (details === null) return;
    if (details === undefined) this.#hints.set(channel, new Set([detail]));
    else if (details.size < MOST_DETAILS) details.add(detail);
    else this.#hints.set(channel, null);
  }

  /** Each hint once. */
  *[Symbol.iterator](): Generator<{ channel: WakeChannel; detail: string | undefined }> {
    for (const [channel, details] of this.#hints) {
      if (details === null) yield { channel, detail: undefined };
      else for (const detail of details) yield { channel, detail };
    }
  }

  /**
   * Makes the payloads for NOTIFY. Details that do not fit into one are left out, and all receivers
   * look then.
   */
  payloads(sender: string): string[] {
    const payloads: string[] = [];
    let entries: Record<string, readonly string[] | null> = {};
    let size = 0;
    const finish = (): void => {
      if (size > 0) payloads.push(JSON.stringify({ sender, hints: entries }));
      entries = {};
      size = 0;
    };
    const room = LARGEST_PAYLOAD - JSON.stringify({ sender, hints: {} }).length;
    for (const [channel, details] of this.#hints) {
      let entry: readonly string[] | null = details === null ? null : [...details];
      let length = lengthOf(channel, entry);
      if (length > room) {
        entry = null;
        length = lengthOf(channel, entry);
      }
      // A group with a name of kilobytes is found by polling.
      if (length > room) continue;
      if (size + length > room) finish();
      entries[channel] = entry;
      size += length;
    }
    finish();
    return payloads;
  }
}

/** Reads the hints in a payload; none if this process sent it, or if it is not from Sagaz. */
export function hintsOf(payload: string, self: string): HintBatch {
  const batch = new HintBatch();
  let message: unknown;
  try {
    message = JSON.parse(payload);
  } catch {
    return batch;
  }
  if (typeof message !== 'object' || message === null) return batch;
  if (!('sender' in message) || message.sender === self || !('hints' in message)) return batch;
  for (const [channel, details] of Object.entries(message.hints ?? {})) {
    if (!isChannel(channel)) continue;
    if (!Array.isArray(details)) batch.add(channel, undefined);
    else for (const detail of details) batch.add(channel, String(detail));
  }
  return batch;
}

function isChannel(name: string): name is WakeChannel {
  return name === 'outbox' || name === 'saga' || name === 'ended' || name.startsWith('queue:');
}

function lengthOf(channel: string, details: readonly string[] | null): number {
  return Buffer.byteLength(JSON.stringify({ [channel]: details }));
}
