/** The rows of a topic in memory. */
export interface TopicCount {
  readonly rows: number;
  /** Those of them that wait to be worked on. */
  readonly waiting: number;
  /** The bytes of their payloads. */
  readonly bytes: number;
}

const NONE: TopicCount = { rows: 0, waiting: 0, bytes: 0 };

/** Counts the rows of each topic in memory. */
export class TopicCounts {
  readonly #counts = new Map<string, { rows: number; waiting: number; bytes: number }>();

  of(topic: string): TopicCount {
    return this.#counts.get(topic) ?? NONE;
  }

  add(topic: string, { rows = 0, waiting = 0, bytes = 0 }: Partial<TopicCount>): void {
    let count = this.#counts.get(topic);
    if (count === undefined) {
      count = { rows: 0, waiting: 0, bytes: 0 };
      this.#counts.set(topic, count);
    }
    count.rows += rows;
    count.waiting += waiting;
    count.bytes += bytes;
    if (count.rows === 0) this.#counts.delete(topic);
  }
}
