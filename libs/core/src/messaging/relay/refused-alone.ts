import type { Message } from '../../ports/index.js';

/**
 * How often, and for how long in milliseconds, a message is not taken while its topic takes others
 * before that counts.
 */
const UNCOUNTED = 10;
const UNCOUNTED_MS = 600_000;
/** How many messages are remembered. The oldest is forgotten, and its count begins anew. */
const REMEMBERED = 10_000;

/**
 * Why a message was not taken.
 * - `away`: nothing shows that the topic takes others, so it may be away, and no attempt is counted.
 * - `later`: others were taken, so only the message and its key wait.
 * - `counts`: it has waited long enough, and the failure is its own.
 */
export type Untaken = 'away' | 'later' | 'counts';

interface Entry {
  readonly since: number;
  /** How many publishes the topic had taken when it was refused last. */
  taken: number;
  alone: number;
}

/**
 * Distinguishes a message that the broker never takes from a topic that is away, since brokers report
 * both as an unavailable topic. While others of the topic are taken, the message is the cause. A part
 * of a topic may be away, so it takes ten minutes until that counts against a message.
 */
export class RefusedAlone {
  readonly #topics = new Map<string, number>();
  readonly #entries = new Map<string, Entry>();

  /** Notes that the topic took a message, so that it is not away. */
  topicTook(topic: string): void {
    if (this.#entries.size === 0) return;
    const taken = this.#topics.get(topic);
    if (taken !== undefined) this.#topics.set(topic, taken + 1);
  }

  forget(message: Message): void {
    if (this.#entries.size === 0 || !this.#entries.delete(message.id)) return;
    if (this.#entries.size === 0) this.#topics.clear();
  }

  refused({ id, topic }: Message, now: number, alone: boolean): Untaken {
    const taken = this.#topics.get(topic) ?? 0;
    this.#topics.set(topic, taken);
    const entry = this.#entries.get(id);
    if (entry === undefined) {
      this.#remember(id, { since: now, taken, alone: 0 });
      return 'away';
    }
    if (entry.taken === taken) return entry.alone === 0 ? 'away' : 'later';
    // If it was sent with others, another message may have spoilt the batch.
    if (!alone) return 'later';
    entry.taken = taken;
    entry.alone += 1;
    return entry.alone >= UNCOUNTED && now - entry.since >= UNCOUNTED_MS ? 'counts' : 'later';
  }

  #remember(id: string, entry: Entry): void {
    this.#entries.set(id, entry);
    if (this.#entries.size <= REMEMBERED) return;
    const [eldest] = this.#entries.keys();
    if (eldest !== undefined) this.#entries.delete(eldest);
  }
}
