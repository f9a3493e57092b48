import type { Clock, SlotQueueStore, Timer } from '../../ports/index.js';
import { DueFloors } from './due-floors.js';
import type { HeldLease } from './held-lease.js';
import type { KeyBook } from './key-book.js';
import type { SlotReader } from './slot-reader.js';
import type { SlotStates } from './slot-states.js';
import type { TopicsAway } from './topics-away.js';

const LIMIT = 500;

/**
 * Handles rows that become due with time: delayed messages get their place in their key, and retries
 * are read again. It looks when the store says that a row is due, and at every poll, because other
 * processes write too.
 */
export class DueRows {
  readonly #store: SlotQueueStore;
  readonly #clock: Clock;
  readonly #incarnation: string;
  readonly #book: KeyBook;
  readonly #floors: DueFloors;
  readonly #states: SlotStates;
  readonly #reader: SlotReader;
  readonly #leases: () => readonly HeldLease[];
  readonly #holds: (lease: HeldLease) => boolean;
  readonly #pollMs: number;
  readonly #took: () => void;
  readonly #failed: (error: unknown) => number;
  readonly #worked: () => void;
  #timer: Timer | undefined;
  #dueAt = Infinity;
  /** Before this time the store is not asked, because it has refused; hints do not change that. */
  #notBefore = -Infinity;
  #running: Promise<void> | undefined;
  #closed = false;

  constructor(options: {
    readonly store: SlotQueueStore;
    readonly clock: Clock;
    readonly incarnation: string;
    readonly book: KeyBook;
    readonly away: TopicsAway;
    readonly states: SlotStates;
    readonly reader: SlotReader;
    readonly leases: () => readonly HeldLease[];
    readonly holds: (lease: HeldLease) => boolean;
    readonly pollMs: number;
    readonly took: () => void;
    readonly failed: (error: unknown) => number;
    readonly worked: () => void;
  }) {
    this.#store = options.store;
    this.#clock = options.clock;
    this.#incarnation = options.incarnation;
    this.#book = options.book;
    this.#floors = new DueFloors(options.store, options.away);
    this.#states = options.states;
    this.#reader = options.reader;
    this.#leases = options.leases;
    this.#holds = options.holds;
    this.#pollMs = options.pollMs;
    this.#took = options.took;
    this.#failed = options.failed;
    this.#worked = options.worked;
  }

  start(): void {
    this.in(0);
  }

  /** Notes that a row is due in this many milliseconds. */
  in(ms: number): void {
    const at = Math.max(this.#notBefore, this.#clock.now() + Math.max(0, ms));
    if (this.#closed || at >= this.#dueAt) return;
    this.#dueAt = at;
    if (this.#running === undefined) this.#arm();
  }

  async close(): Promise<void> {
    this.#closed = true;
    this.#timer?.cancel();
    await this.#running;
  }

  #arm(): void {
    this.#timer?.cancel();
    if (this.#closed) return;
    this.#timer = this.#clock.after(Math.max(0, this.#dueAt - this.#clock.now()), () => {
      this.#dueAt = Infinity;
      this.#running = this.#look().finally(() => {
        this.#running = undefined;
        this.#arm();
      });
    });
  }

  async #look(): Promise<void> {
    try {
      const leases = this.#leases();
      if (leases.length === 0) {
        this.in(this.#pollMs);
        return;
      }
      const promoted = await this.#store.promote(LIMIT);
      if (promoted > 0) this.#reader.hint();
      const read = this.#book.readsBegun;
      // A row in work now may be done and forgotten before the answer arrives: the answer must not show it,
      // or it would be done again.
      const inFlight = [...this.#book.rows.keys()];
      const without = this.#floors.without(leases);
      const rows = await this.#store.readDueRetries(this.#incarnation, leases, {
        limit: LIMIT,
        bytes: Math.max(1, this.#book.roomBytes),
        inFlight,
        ...(without === undefined ? {} : { without }),
      });
      const asked = new Map(leases.map((lease) => [lease.slot, lease]));
      let taken = 0;
      for (const row of rows) {
        const lease = asked.get(row.slot);
        if (lease === undefined || !this.#states.isLoaded(row.slot)) continue;
        // The lease was lost, or lost and gained again, during the read.
        if (!this.#holds(lease)) continue;
        if (this.#closed) return;
        if (this.#book.rows.has(row.seq)) continue;
        if (await this.#reader.admit(row, lease, read)) taken += 1;
      }
      if (taken > 0) this.#took();
      const moved = without !== undefined && (await this.#floors.move(leases, without));
      const slots = leases.map((lease) => lease.slot);
      const next = moved ? 0 : await this.#store.nextDueInMs(slots, without);
      // A row that is due and was not taken waits for work in this process, and not for a timer.
      const again = promoted >= LIMIT || (taken > 0 && rows.length === LIMIT) ? 0 : 20;
      this.#worked();
      this.in(Math.min(this.#pollMs, Math.max(next ?? Infinity, again)));
    } catch (error) {
      this.#notBefore = this.#clock.now() + this.#failed(error);
      this.in(this.#pollMs);
    }
  }
}
