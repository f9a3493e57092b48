import type { DueFloor, SlotQueueStore, WithoutTopics } from '../../ports/index.js';
import type { HeldLease } from './held-lease.js';
import type { TopicsAway } from './topics-away.js';

/** How many due retries of a slot a look goes through while topics are left out. */
const WITHIN = 200;

/**
 * Where looks for due retries begin while topics are away, so that due retries of such a topic hide no others
 * and are not read again and again. A floor is forgotten when a topic returns, when the lease of its slot is
 * another one, or when somebody else changed rows of the slot.
 */
export class DueFloors {
  readonly #store: SlotQueueStore;
  readonly #away: TopicsAway;
  readonly #floors = new Map<number, { readonly floor: DueFloor; readonly of: string }>();
  #version = 0;

  constructor(store: SlotQueueStore, away: TopicsAway) {
    this.#store = store;
    this.#away = away;
  }

  /** The topics that a look leaves out, and the floors where it begins; undefined: no topic is away. */
  without(leases: readonly HeldLease[]): WithoutTopics | undefined {
    const { topics } = this.#away;
    if (this.#version !== this.#away.version || topics.length === 0) this.#floors.clear();
    this.#version = this.#away.version;
    if (topics.length === 0) return undefined;
    const floors = leases.flatMap((lease) => {
      const known = this.#floors.get(lease.slot);
      return known?.of === nameOf(lease) ? [known.floor] : [];
    });
    return { topics, floors, within: WITHIN };
  }

  /** Moves the floors behind due rows of the topics. Returns whether any moved, so that more may follow. */
  async move(leases: readonly HeldLease[], without: WithoutTopics): Promise<boolean> {
    const version = this.#version;
    const slots = leases.map(({ slot }) => slot);
    const floors = await this.#store.passDueTopics(slots, without);
    if (version !== this.#away.version) return false;
    for (const floor of floors) {
      const lease = leases.find(({ slot }) => slot === floor.slot);
      if (lease !== undefined) this.#floors.set(floor.slot, { floor, of: nameOf(lease) });
    }
    return floors.length > 0;
  }
}

function nameOf({ tenure, version }: HeldLease): string {
  return `${tenure}:${version}`;
}
