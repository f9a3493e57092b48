import { hintSlots, type Clock, type Message, type WakeChannel } from '@sagaz/core';
import { HintBatch, type PgWakeUps } from '../wake-ups/index.js';

/** What a transaction says at its commit. */
export interface Announcement {
  readonly channel: string;
  readonly payloads: readonly string[];
  /** Those who are told by it. */
  readonly groups: ReadonlySet<string>;
}

type Speaker = Pick<PgWakeUps, 'announce' | 'hintHere' | 'hintElsewhere'>;

/** So many messages are few: their commit may take the server's lock of notifications. */
const FEW = 4;
/** An announced commit that took so long has waited for others, or others for it. */
const SLOW_MS = 100;
/** After one of those, nothing is announced for so long. */
const REST_MS = 10_000;
/** Topics whose groups are remembered; a broker with more of them learns them again. */
const TOPICS = 10_000;

/**
 * Tells consumer groups where messages of theirs were committed.
 *
 * A notification of its own after the commit is one more round trip before the handler. One inside
 * of the transaction has none, but takes a lock over the whole server until the commit is on the disk,
 * and whoever notifies meanwhile waits. So only a few messages at a time announce themselves, and only
 * to the groups whose last messages of that topic were another process's: who is missing is told afterwards.
 */
export class Announcements {
  readonly #wakeUps: Speaker;
  readonly #clock: Pick<Clock, 'now'>;
  #restUntil = -Infinity;
  /** By topic: the groups that other processes work for. */
  readonly #elsewhere = new Map<string, ReadonlySet<string>>();

  constructor(wakeUps: Speaker, clock: Pick<Clock, 'now'>) {
    this.#wakeUps = wakeUps;
    this.#clock = clock;
  }

  /** What the transaction that writes these messages is to say; null: nothing. */
  of(messages: readonly Message[]): Announcement | null {
    if (messages.length > FEW || this.#clock.now() < this.#restUntil) return null;
    const hints = new HintBatch();
    const groups = new Set<string>();
    for (const { topic } of messages) {
      for (const group of this.#elsewhere.get(topic) ?? []) groups.add(group);
    }
    for (const group of groups) {
      hintSlots(
        { hint: (channel, detail) => hints.add(channel, detail) },
        `queue:${group}`,
        messages,
      );
    }
    return hints.empty ? null : { ...this.#wakeUps.announce(hints), groups };
  }

  /** An announced transaction has ended, however, after so long. */
  took(ms: number): void {
    if (ms >= SLOW_MS) this.#restUntil = this.#clock.now() + REST_MS;
  }

  /** Tells those of this process, and whoever was not told by the commit. */
  committed(
    groups: readonly string[],
    messages: readonly Message[],
    announced: Announcement | null,
  ): void {
    const elsewhere = new Set<string>();
    for (const group of groups) {
      const hint = (channel: WakeChannel, detail?: string): void => {
        if (this.#wakeUps.hintHere(channel, detail)) return;
        elsewhere.add(group);
        if (announced?.groups.has(group) !== true) this.#wakeUps.hintElsewhere(channel, detail);
      };
      hintSlots({ hint }, `queue:${group}`, messages);
    }
    const topics = new Set(messages.map(({ topic }) => topic));
    const [topic] = topics;
    // Of several topics it is not known which of them a group has joined.
    if (topic === undefined || topics.size > 1) return;
    if (this.#elsewhere.size >= TOPICS && !this.#elsewhere.has(topic)) this.#elsewhere.clear();
    this.#elsewhere.set(topic, elsewhere);
  }
}
