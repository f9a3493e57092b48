import type { Clock, SlotQueueStore } from '../../ports/index.js';
import type { ChangePump } from './change-pump.js';
import type { CrashBlame } from './crash-blame.js';
import type { Floors } from './floors.js';
import type { HeldLease } from './held-lease.js';
import type { KeyBook } from './key-book.js';
import type { LeaseKeeper } from './lease-keeper.js';
import type { Settlement } from './settlement.js';
import type { SlotStates } from './slot-states.js';

/** How often the rows that hold back keys are checked for their existence, in milliseconds. */
const CHECK_HEADS_MS = 10_000;
/**
 * How many slots are checked at once, so that the statement stays small however many keys are held
 * back.
 */
const CHECK_HEADS_SLOTS = 16;

/**
 * Loads what a process must know of a slot before it works on it, and loads it again after a change by
 * others.
 */
export class SlotEntry {
  readonly #store: SlotQueueStore;
  readonly #clock: Clock;
  readonly #blame: CrashBlame;
  readonly #incarnation: string;
  readonly #book: KeyBook;
  readonly #floors: Floors;
  readonly #leases: LeaseKeeper;
  readonly #states: SlotStates;
  readonly #changes: ChangePump;
  readonly #settlement: Settlement;
  readonly #entered: () => void;
  #headsCheckedAt = 0;
  /** The slot with which the next check of heads begins. */
  #nextChecked = 0;

  constructor(options: {
    readonly store: SlotQueueStore;
    readonly clock: Clock;
    readonly blame: CrashBlame;
    readonly incarnation: string;
    readonly book: KeyBook;
    readonly floors: Floors;
    readonly leases: LeaseKeeper;
    readonly states: SlotStates;
    readonly changes: ChangePump;
    readonly settlement: Settlement;
    /** Called when slots may be read. */
    readonly entered: () => void;
  }) {
    this.#store = options.store;
    this.#clock = options.clock;
    this.#blame = options.blame;
    this.#incarnation = options.incarnation;
    this.#book = options.book;
    this.#floors = options.floors;
    this.#leases = options.leases;
    this.#states = options.states;
    this.#changes = options.changes;
    this.#settlement = options.settlement;
    this.#entered = options.entered;
  }

  /** @param regained - slots that no other process had since this one lost them */
  gained(leases: readonly HeldLease[], regained: ReadonlySet<number>): void {
    const ready: HeldLease[] = [];
    for (const lease of leases) {
      this.#floors.reset(lease.slot);
      const blamed = this.#blame.gained(lease, regained.has(lease.slot), () => this.#load([lease]));
      this.#states.gain(lease, blamed);
      if (blamed === null) ready.push(lease);
    }
    if (ready.length > 0) this.#load(ready);
  }

  /**
   * Another process or an operator changed rows, so rows below the floor may be pending, and heads may
   * be gone.
   */
  changed(lease: HeldLease): void {
    this.#floors.reset(lease.slot);
    this.#load([lease]);
  }

  /**
   * Checks, some slots at a time, whether the rows that hold back keys still exist. A process that
   * lost a slot while it worked on a message removes the message when it is done, even if the message
   * is a retry here by then. Nothing else would tell this process that the key is free.
   */
  checkHeads(): void {
    if (this.#clock.now() - this.#headsCheckedAt < CHECK_HEADS_MS) return;
    this.#headsCheckedAt = this.#clock.now();
    const slots = this.#book.slotsHeldBack();
    const after = slots.filter((slot) => slot >= this.#nextChecked);
    const due = [...after, ...slots.slice(0, slots.length - after.length)];
    const leases = due
      .slice(0, CHECK_HEADS_SLOTS)
      .flatMap((slot) => this.#leases.lease(slot) ?? []);
    const last = leases.at(-1);
    if (last === undefined) return;
    this.#nextChecked = last.slot + 1;
    this.#load(leases);
  }

  /** Reads which keys of a slot are held back, and calls `then` when that is known here. */
  reload(lease: HeldLease, then: () => void): void {
    this.#load([lease], then);
  }

  /** Reads which keys are held back, after all earlier changes of them were written. */
  #load(leases: readonly HeldLease[], then: () => void = () => undefined): void {
    this.#changes.push({
      kind: 'barrier',
      run: async () => {
        const current = leases.filter((lease) => this.#leases.holds(lease));
        if (current.length === 0) {
          then();
          return;
        }
        const held = await this.#store.heldKeys(this.#incarnation, current);
        const slots = new Set<number>();
        for (const lease of current) if (this.#leases.holds(lease)) slots.add(lease.slot);
        const mine = held.filter((key) => slots.has(key.slot));
        for (const line of this.#book.loadHeld(slots, mine)) this.#settlement.release(line, '0');
        for (const slot of slots) {
          if (!this.#blame.isUnwritten(slot)) this.#states.loaded(slot);
        }
        then();
        this.#entered();
      },
    });
  }
}
