import type {
  Clock,
  InboxStore,
  KeptCounts,
  OutboxStore,
  SagaStore,
  StoreCounts,
} from '../ports/index.js';

/** The parts of a store that counts are made of. */
export interface CountedStore {
  readonly sagas: Pick<SagaStore, 'countByStatus' | 'keepCounts' | 'keptCounts' | 'takeTurn'>;
  readonly outbox: Pick<OutboxStore, 'stats'>;
  readonly inbox: Pick<InboxStore, 'countDeadLetters' | 'landingBacklog'>;
}

export interface SharedCountsOptions {
  readonly clock: Clock;
  /** How often one of the processes counts, in milliseconds. */
  readonly everyMs: number;
  /** Counts that are older are not answered, in milliseconds: they would look like current ones. */
  readonly staleMs: number;
}

/** After a failure a process leaves so many turns to others, which may have the privileges that it lacks. */
const TURNS_LEFT = 3;

/**
 * Counts what lies in a store, once per interval for all processes that ask: whoever asks first has the turn
 * and keeps what it counted, the others read that. The turn of a process that dies is over when the next
 * one is due.
 */
export class SharedCounts {
  readonly #store: CountedStore;
  readonly #options: SharedCountsOptions;
  #leavesUntil = Number.NEGATIVE_INFINITY;

  constructor(store: CountedStore, options: SharedCountsOptions) {
    this.#store = store;
    this.#options = options;
  }

  /**
   * The latest counts, with their age. While another process counts, those of the interval before.
   *
   * @returns null where the first counts are just being made
   * @throws the error of the store where this process failed to count and no other one counted lately
   */
  async latest(): Promise<KeptCounts | null> {
    const { everyMs } = this.#options;
    const kept = await this.#store.sagas.keptCounts();
    if (kept !== null && kept.ageMs < everyMs) return kept;
    try {
      return (await this.#countInTurn()) ?? this.#current(kept);
    } catch (error) {
      this.#leavesUntil = this.#options.clock.now() + TURNS_LEFT * everyMs;
      const current = this.#current(kept);
      if (current === null) throw error;
      return current;
    }
  }

  async #countInTurn(): Promise<KeptCounts | null> {
    const { clock, everyMs } = this.#options;
    if (clock.now() < this.#leavesUntil) return null;
    const { sagas, outbox, inbox } = this.#store;
    if (!(await sagas.takeTurn('counts', everyMs))) return null;
    const [bySagaStatus, { byStatus, oldestPendingMs }, deadLetters, landings] = await Promise.all([
      sagas.countByStatus(),
      outbox.stats(),
      inbox.countDeadLetters(),
      inbox.landingBacklog(),
    ]);
    const counts: StoreCounts = {
      sagas: bySagaStatus,
      outbox: byStatus,
      oldestPendingMs,
      deadLetters,
      landings,
    };
    await sagas.keepCounts(counts);
    return { ...counts, ageMs: 0 };
  }

  #current(kept: KeptCounts | null): KeptCounts | null {
    return kept !== null && kept.ageMs < this.#options.staleMs ? kept : null;
  }
}
