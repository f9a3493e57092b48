import type { Floors } from './floors.js';
import type { KeyBook } from './key-book.js';
import type { KeyLine } from './key-line.js';
import { minSeq, seqBefore } from './seq.js';
import type { TakenRow } from './slot-work.js';

/** The most bytes of payloads that all topics that are away keep in memory, but for one row of each. */
const KEPT_BYTES = 8 * 1_024 * 1_024;

/**
 * Topics that take nothing. However much of them waits, it must cost the others nothing: of its rows only a
 * few stay in memory, with which the work tries the topic again, and while so many are there, reads leave it
 * out. With fewer than that it is read: where one message is refused again and again, only other messages
 * show that the topic takes them. A topic is no longer away when it took a row.
 */
export class TopicsAway {
  readonly #book: KeyBook;
  readonly #floors: Floors;
  readonly #keep: number;
  readonly #keeps: (slot: number) => boolean;
  readonly #dropped: () => void;
  readonly #returned: () => void;
  readonly #topics = new Set<string>();
  /** Those of them that the last read left out. */
  #leftOut: readonly string[] = [];
  #version = 0;

  constructor(options: {
    readonly book: KeyBook;
    readonly floors: Floors;
    /** How many rows of all these topics stay in memory, but for one of each. */
    readonly keep: number;
    /** Whether the slot is held and not about to be given back. */
    readonly keeps: (slot: number) => boolean;
    /** Called when rows have left memory and wait in the store again. */
    readonly dropped: () => void;
    /** Called when rows of a topic must be read again. */
    readonly returned: () => void;
  }) {
    this.#book = options.book;
    this.#floors = options.floors;
    this.#keep = options.keep;
    this.#keeps = options.keeps;
    this.#dropped = options.dropped;
    this.#returned = options.returned;
  }

  /** The topics to leave out of a read that begins now. */
  get topics(): readonly string[] {
    for (const topic of [...this.#topics]) {
      if (this.#book.topics.of(topic).rows === 0) this.#topics.delete(topic);
    }
    const leftOut = [...this.#topics].filter((topic) => this.leavesOut(topic));
    const returned = this.#leftOut.some((topic) => !leftOut.includes(topic));
    this.#leftOut = leftOut;
    if (returned) this.#forget();
    return leftOut;
  }

  /** Rises when a topic returns: what was found while it was left out holds no longer. */
  get version(): number {
    return this.#version;
  }

  /** Whether no more rows of the topic are to be read. */
  leavesOut(topic: string): boolean {
    if (!this.#topics.has(topic)) return false;
    const { rows, bytes } = this.#book.topics.of(topic);
    return rows >= this.#share.rows || bytes >= this.#share.bytes;
  }

  /** How many rows of these topics wait in memory. */
  get waiting(): number {
    let waiting = 0;
    for (const topic of this.#topics) waiting += this.#book.topics.of(topic).waiting;
    return waiting;
  }

  /** The topic took nothing. */
  add(topic: string): void {
    this.#topics.add(topic);
    this.trim();
  }

  /** The topic took a row. */
  took(topic: string): void {
    if (!this.#topics.delete(topic)) return;
    this.#leftOut = this.#leftOut.filter((one) => one !== topic);
    this.#forget();
  }

  /**
   * Drops rows of these topics but for a few, and all of slots that are to be given back. They wait in the
   * store, where the floors must not have gone past them.
   */
  trim(): void {
    if (this.#topics.size === 0) return;
    const lowest = new Map<number, string>();
    for (const [line, from] of this.#surplus()) {
      const { slot } = line.key;
      const seq = this.#book.dropFrom(line, from);
      if (seq !== null) lowest.set(slot, minSeq(lowest.get(slot) ?? seq, seq));
    }
    if (lowest.size === 0) return;
    for (const [slot, seq] of lowest) this.#floors.lower(slot, seqBefore(seq));
    this.#dropped();
  }

  /** The lines of which rows are dropped, and how many of their first rows stay. */
  #surplus(): ReadonlyMap<KeyLine, number> {
    const room = new Map<string, { rows: number; bytes: number }>();
    const surplus = new Map<KeyLine, number>();
    const seen = new Set<KeyLine>();
    for (const { line } of this.#book.rows.values()) {
      const { topic, slot } = line.key;
      if (!this.#topics.has(topic) || seen.has(line)) continue;
      seen.add(line);
      const left = room.get(topic) ?? this.#share;
      room.set(topic, left);
      const stay = this.#keeps(slot) ? fitting(line.waiting, left) : 0;
      if (stay < line.waiting.length) surplus.set(line, stay);
    }
    return surplus;
  }

  /** The rows and bytes that each of the topics may keep in memory. */
  get #share(): { rows: number; bytes: number } {
    const topics = this.#topics.size;
    return { rows: Math.max(1, Math.floor(this.#keep / topics)), bytes: KEPT_BYTES / topics };
  }

  /** Rows of a topic are to be read again. */
  #forget(): void {
    this.#version += 1;
    this.#floors.forgetBehind();
    this.#returned();
  }
}

/** How many of the first rows fit into the room, which they take. */
function fitting(waiting: readonly TakenRow[], room: { rows: number; bytes: number }): number {
  let stay = 0;
  for (const { row } of waiting) {
    if (room.rows <= 0 || room.bytes <= 0) break;
    room.rows -= 1;
    room.bytes -= row.message.payload.byteLength;
    stay += 1;
  }
  return stay;
}
