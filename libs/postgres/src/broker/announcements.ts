import { hintSlots, type Clock, type Message, type WakeChannel } from '@sagaz/core';
import { HintBatch, type PgWakeUps } from '../wake-ups/index.js';

/** The notification that a transaction sends at its commit. */
export interface Announcement {
  readonly channel: string;
  readonly payloads: readonly string[];
  /** The consumer groups that it notifies. */
  readonly groups: ReadonlySet<string>;
}

type Speaker = Pick<PgWakeUps, 'announce' | 'hintHere' | 'hintElsewhere'>;

/**
 * The most messages whose commit sends its notification itself and thereby takes the server's lock of
 * notifications.
 */
const FEW = 4;
/**
 * An announced commit that took this long, in ms, has waited for other transactions, or others for it.
 */
const SLOW_MS = 100;
/** For how long no commit announces anything after such a one, in ms. */
const REST_MS = 10_000;
/** For how many topics the groups are remembered; those of further topics are looked up again. */
const TOPICS = 10_000;

/**
 * Notifies consumer groups of committed messages.
 *
 * A notification of its own after the commit is one more round trip before the handler. One inside of
 * the transaction needs none, but takes a lock over the whole server until the commit is on the disk,
 * and every other transaction that notifies waits meanwhile. So only small batches are announced by
 * their commit, and only to the groups whose last messages of that topic were taken by another process.
 * Other groups are notified after the commit.
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

  /** The announcement for a transaction that writes these messages; null: none. */
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

  /** Notes that an announced transaction has ended, whatever its outcome, after `ms` milliseconds. */
  took(ms: number): void {
    if (ms >= SLOW_MS) this.#restUntil = this.#clock.now() + REST_MS;
  }

  /** Notifies the groups of this process, and those that the commit did not notify. */
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
    // If there are several topics, it is not known which of them a group has joined.
    if (topic === undefined || topics.size > 1) return;
    if (this.#elsewhere.size >= TOPICS && !this.#elsewhere.has(topic)) this.#elsewhere.clear();
    this.#elsewhere.set(topic, elsewhere);
  }
}
