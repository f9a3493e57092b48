import type { SlotQueueStore } from '../../ports/index.js';
import type { CrowdedSlots } from './crowded-slots.js';
import type { Floors } from './floors.js';
import { compareSeq, minSeq } from './seq.js';
import type { TopicsAway } from './topics-away.js';

/**
 * How many rows of a slot a step looks at. For 256 slots PostgreSQL takes about a fiftieth of a second, and
 * ordinary reads go on between the steps.
 */
const STEP = 50;

/** Raises the floors behind rows of topics that are away, step by step, however many rows they have. */
export class TopicPasser {
  readonly #store: SlotQueueStore;
  readonly #away: TopicsAway;
  readonly #floors: Floors;
  readonly #crowded: CrowdedSlots;

  constructor(options: {
    readonly store: SlotQueueStore;
    readonly away: TopicsAway;
    readonly floors: Floors;
    readonly crowded: CrowdedSlots;
  }) {
    this.#store = options.store;
    this.#away = options.away;
    this.#floors = options.floors.behind ?? options.floors;
    this.#crowded = options.crowded;
  }

  /** Takes a step in these slots. Returns whether another one should follow soon. */
  async step(slots: readonly number[]): Promise<boolean> {
    const { topics } = this.#away;
    if (topics.length === 0 || slots.length === 0) return false;
    const mark = this.#floors.mark(slots);
    const passed = await this.#store.passTopics({
      windows: slots.map((slot) => ({ slot, floor: this.#floors.of(slot) })),
      topics,
      within: STEP,
    });
    const proven = this.#floors.proven(passed.snapshotXmin);
    let again = false;
    for (const { slot, upTo, more } of passed.slots) {
      if (proven !== null) this.#floors.raise(slot, minSeq(upTo, proven), mark);
      if (!more) continue;
      if (proven !== null && compareSeq(upTo, proven) <= 0) again = true;
      // A writer that has not ended keeps the floor where it is: the slot is read past the topics by a
      // longer way.
      else this.#crowded.note(slot, true);
    }
    return again;
  }
}
