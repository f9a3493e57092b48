import type { Logger, SlotLease, SlotQueueStore } from '../../ports/index.js';
import type { ChangePump } from './change-pump.js';
import type { Floors } from './floors.js';
import type { KeyBook } from './key-book.js';
import type { LeaseKeeper } from './lease-keeper.js';
import type { Settlement } from './settlement.js';
import type { SlotStates } from './slot-states.js';

/** What must be known of a slot before anything of it is worked on, and again when it was changed. */
export class SlotEntry {
  readonly #name: string;
  readonly #store: SlotQueueStore;
  readonly #logger: Logger;
  readonly #incarnation: string;
  readonly #book: KeyBook;
  readonly #floors: Floors;
  readonly #leases: LeaseKeeper;
  readonly #states: SlotStates;
  readonly #changes: ChangePump;
  readonly #settlement: Settlement;
  readonly #entered: () => void;

  constructor(options: {
    readonly name: string;
    readonly store: SlotQueueStore;
    readonly logger: Logger;
    readonly incarnation: string;
    readonly book: KeyBook;
    readonly floors: Floors;
    readonly leases: LeaseKeeper;
    readonly states: SlotStates;
    readonly changes: ChangePump;
    readonly settlement: Settlement;
    /** Slots may be read now. */
    readonly entered: () => void;
  }) {
    this.#name = options.name;
    this.#store = options.store;
    this.#logger = options.logger;
    this.#incarnation = options.incarnation;
    this.#book = options.book;
    this.#floors = options.floors;
    this.#leases = options.leases;
    this.#states = options.states;
    this.#changes = options.changes;
    this.#settlement = options.settlement;
    this.#entered = options.entered;
  }

  gained(leases: readonly SlotLease[]): void {
    for (const lease of leases) {
      this.#floors.reset(lease.slot);
      this.#states.gain(lease);
      if (lease.suspect !== null) this.#blame(lease, lease.suspect);
    }
    this.#load(leases);
  }

  /** Somebody else changed rows: numbers below the floor may be pending, and heads gone. */
  changed(lease: SlotLease): void {
    this.#floors.reset(lease.slot);
    this.#load([lease]);
  }

  /** The message that was noted when the last owner died counts an attempt, and only that one. */
  #blame(lease: SlotLease, seq: string): void {
    this.#logger.warn('A message was being worked on when its process died, again.', {
      consumer: this.#name,
      slot: lease.slot,
      seq,
      crashes: lease.crashes,
    });
    this.#changes.push({
      kind: 'change',
      lease,
      change: {
        kind: 'retry',
        place: { slot: lease.slot, seq },
        delayMs: Math.min(1_000 * 2 ** Math.min(lease.crashes, 6), 60_000),
        counts: true,
        error: 'The process that worked on it died.',
      },
      done: (outcome) => {
        if (outcome === 'gone') this.#states.forgive(lease.slot);
      },
    });
  }

  /** Reads which keys are held back, after everything said about them before has landed. */
  #load(leases: readonly SlotLease[]): void {
    this.#changes.push({
      kind: 'barrier',
      run: async () => {
        const current = leases.filter((lease) => this.#holds(lease));
        if (current.length === 0) return;
        const held = await this.#store.heldKeys(this.#incarnation, current);
        const slots = new Set<number>();
        for (const lease of current) if (this.#holds(lease)) slots.add(lease.slot);
        const mine = held.filter((key) => slots.has(key.slot));
        for (const line of this.#book.loadHeld(slots, mine)) this.#settlement.release(line, '0');
        for (const slot of slots) this.#states.loaded(slot);
        this.#entered();
      },
    });
  }

  #holds(lease: SlotLease): boolean {
    return this.#leases.lease(lease.slot)?.epoch === lease.epoch;
  }
}
