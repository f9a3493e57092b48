import type { Message } from '../../ports/index.js';

/** So often, and for so long, a message stays untaken while its topic takes others, before that counts. */
const UNCOUNTED = 10;
const UNCOUNTED_MS = 600_000;
/** How many messages are remembered; the eldest is forgotten, and begins anew. */
const REMEMBERED = 10_000;

/**
 * - `away`: nothing shows that the topic takes others: it may be away, which counts for nobody.
 * - `later`: others were taken, so the message waits alone, with its key.
 * - `counts`: it has waited so long enough: the failure is its own.
 */
export type Untaken = 'away' | 'later' | 'counts';

interface Entry {
  readonly since: number;
  /** How many publishes the topic had taken when it was refused last. */
  taken: number;
  alone: number;
}

/**
 * Messages for which a broker answers that their topic takes nothing, told apart from a topic that is
 * away: while others of the topic are taken, it is the message. A part of a topic may be away, therefore
 * it takes ten minutes until that counts against a message.
 */
export class RefusedAlone {
  readonly #topics = new Map<string, number>();
  readonly #entries = new Map<string, Entry>();

  /** The topic took something: what is refused from now on is so although the topic is there. */
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
    // In company it may be another that spoils the batch.
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
