import type { Clock, QueuedMessage, SlotLease, SlotQueueStore } from '../../ports/index.js';
import type { SlotSettings } from './settings.js';

interface SlotState {
  /** When the slot was gained, by this process's monotonic clock. */
  readonly gainedAt: number;
  /** Whether the held keys of the slot were read; before that, no row of it may be worked on. */
  loaded: boolean;
  /** How many owners died in a row, until the slot is trusted again. */
  crashes: number;
  /** How many rows ended since this process has the slot. */
  survivors: number;
  /**
   * The number that was noted when the last owner died. Until that message has been worked on again,
   * an empty slot does not clear the suspicion, because the message may only be waiting for its retry.
   */
  blamed: string | null;
}

export interface SlotStateEvents {
  /** Returns how long to wait before the next try, in milliseconds. */
  readonly failed: (error: unknown) => number;
  /** The store has recorded that the slot is not suspicious any more. */
  readonly cleared: (lease: SlotLease) => void;
}

/**
 * The slots that this process holds: which may be read, and which are suspicious because their owners
 * died one after the other. Of all suspicious slots only one message at a time is worked on in the
 * process, and its number is noted first, so that a crash is counted against this message and not
 * against others.
 */
export class SlotStates {
  readonly #states = new Map<number, SlotState>();
  readonly #store: SlotQueueStore;
  readonly #clock: Clock;
  readonly #incarnation: string;
  readonly #settings: SlotSettings;
  readonly #events: SlotStateEvents;
  /** Before this time no suspicion is cleared, because the store has refused to do so. */
  #clearsFrom = -Infinity;
  /** Slots in the order in which they are read; each read begins with another one. */
  #order: number[] = [];
  #turn = 0;

  constructor(
    store: SlotQueueStore,
    clock: Clock,
    incarnation: string,
    settings: SlotSettings,
    events: SlotStateEvents,
  ) {
    this.#store = store;
    this.#clock = clock;
    this.#incarnation = incarnation;
    this.#settings = settings;
    this.#events = events;
  }

  /** @param blamed - the number that the last owner had noted when it died, if it did */
  gain(lease: SlotLease, blamed: string | null): void {
    this.#states.set(lease.slot, {
      gainedAt: this.#clock.now(),
      loaded: false,
      crashes: lease.crashes,
      survivors: 0,
      blamed,
    });
    this.#order = [...this.#states.keys()];
  }

  lose(slot: number): void {
    this.#states.delete(slot);
    this.#order = [...this.#states.keys()];
  }

  slots(): readonly number[] {
    return this.#order;
  }

  loaded(slot: number): void {
    const state = this.#states.get(slot);
    if (state !== undefined) state.loaded = true;
  }

  isLoaded(slot: number): boolean {
    return this.#states.get(slot)?.loaded === true;
  }

  suspicious(slot: number): boolean {
    return (this.#states.get(slot)?.crashes ?? 0) >= this.#settings.suspectAfterCrashes;
  }

  /**
   * Whether the slot's last owner died while the row was in the slot; a row that came later was never
   * in its hands. A dead owner keeps its slots until their leases expire, which is longer than any
   * answer of the store takes, so the two clocks need not agree to the millisecond.
   */
  afterDeath(row: QueuedMessage): boolean {
    const state = this.#states.get(row.slot);
    if (state === undefined || state.crashes === 0) return false;
    return row.ageMs >= this.#clock.now() - state.gainedAt;
  }

  /** The slots to read. Each call begins with another slot, so that every slot is read in time. */
  turn(): { readonly trusted: number[]; readonly suspicious: number[] } {
    const trusted: number[] = [];
    const suspicious: number[] = [];
    const { length } = this.#order;
    this.#turn = length === 0 ? 0 : (this.#turn + 1) % length;
    for (let at = 0; at < length; at += 1) {
      const slot = this.#order[(at + this.#turn) % length];
      if (slot === undefined || !this.isLoaded(slot)) continue;
      if (this.suspicious(slot)) suspicious.push(slot);
      else trusted.push(slot);
    }
    return { trusted, suspicious };
  }

  /** Lets the next read begin with this slot, because the limit of the last one has cut off its rows. */
  advance(slot: number): void {
    const at = this.#order.indexOf(slot);
    if (at >= 0) this.#turn = at;
  }

  /**
   * Reduces the crashes of a slot if the store counts fewer: the last owner lives after all and has
   * taken its crash back. Returns whether that was so.
   */
  relieve(lease: SlotLease): boolean {
    const state = this.#states.get(lease.slot);
    if (state === undefined || lease.crashes >= state.crashes) return false;
    state.crashes = lease.crashes;
    if (lease.suspect === null) state.blamed = null;
    return true;
  }

  /** The message that was noted is gone. */
  forgive(slot: number): void {
    const state = this.#states.get(slot);
    if (state !== undefined) state.blamed = null;
  }

  /** A row of the slot has ended without killing the process. */
  survived(lease: SlotLease, seq: string): void {
    const state = this.#states.get(lease.slot);
    if (state === undefined || state.crashes === 0) return;
    if (state.blamed === seq) state.blamed = null;
    state.survivors += 1;
    if (state.survivors >= this.#settings.suspectSurvivors) this.clear(lease);
  }

  /** Clears the suspicion, because no row is left that was in the slot when its owner died. */
  clear(lease: SlotLease): void {
    const state = this.#states.get(lease.slot);
    if (state === undefined || state.crashes === 0 || state.blamed !== null) return;
    if (this.#clock.now() < this.#clearsFrom) return;
    const { crashes } = state;
    state.crashes = 0;
    const keep = (): void => {
      state.crashes = crashes;
      state.survivors = 0;
    };
    // If this fails, it is tried again when the slot next runs empty and is still held.
    this.#store.noteSuspect(this.#incarnation, lease, null).then(
      (noted) => (noted ? this.#events.cleared(lease) : keep()),
      (error: unknown) => {
        keep();
        this.#clearsFrom = this.#clock.now() + this.#events.failed(error);
      },
    );
  }
}
