import type { Clock, QueuedMessage, SlotLease, SlotQueueStore } from '../../ports/index.js';
import type { SlotSettings } from './settings.js';

interface SlotState {
  /** By this process's monotonic clock. */
  readonly gainedAt: number;
  /** Held keys are read first: before that nothing of the slot may be worked on. */
  loaded: boolean;
  /** Deaths of owners not yet outlived. */
  crashes: number;
  /** Rows that ended well since this process has it. */
  survivors: number;
  /**
   * The number that was noted when the last owner died. While it has not been worked on again, an
   * empty slot proves nothing: the one that kills is only waiting for its retry.
   */
  blamed: string | null;
}

export interface SlotStateEvents {
  /** Milliseconds for which it is better not tried again. */
  readonly failed: (error: unknown) => number;
  /** The store has it that nothing of the slot is suspected any more. */
  readonly cleared: (lease: SlotLease) => void;
}

/**
 * What this process knows of the slots it holds: which may be read, and which are under suspicion
 * because their owners died one after the other. Of those one message at a time is worked on in the
 * whole process, and its number is noted first: so the message that kills is the one that is
 * counted, and not everything that stood beside it.
 */
export class SlotStates {
  readonly #states = new Map<number, SlotState>();
  readonly #store: SlotQueueStore;
  readonly #clock: Clock;
  readonly #incarnation: string;
  readonly #settings: SlotSettings;
  readonly #events: SlotStateEvents;
  /** Before that a suspicion is not cleared, because the store has refused it. */
  #clearsFrom = -Infinity;
  /** Slots in the order in which they are read, turned a little with each read. */
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

  /** @param blamed the number that was noted when the owner before died, if one did */
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
   * Of a row that was just read: whether the slot's owner before died while it lay there. What came
   * later was never in its hands. A dead owner keeps its slots until they expire, which is longer
   * than any answer of the store takes, so the two clocks need not agree to the millisecond.
   */
  afterDeath(row: QueuedMessage): boolean {
    const state = this.#states.get(row.slot);
    if (state === undefined || state.crashes === 0) return false;
    return row.ageMs >= this.#clock.now() - state.gainedAt;
  }

  /** Slots to read, beginning with another one each time so that none starves. */
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

  /** A later read begins further on: what was cut off by the limit comes first. */
  advance(slot: number): void {
    const at = this.#order.indexOf(slot);
    if (at >= 0) this.#turn = at;
  }

  /**
   * The owner before lives after all and has taken its crash back, if the store counts fewer crashes than
   * are known here. Returns whether that is so.
   */
  relieve(lease: SlotLease): boolean {
    const state = this.#states.get(lease.slot);
    if (state === undefined || lease.crashes >= state.crashes) return false;
    state.crashes = lease.crashes;
    if (lease.suspect === null) state.blamed = null;
    return true;
  }

  /** The row that was noted is gone. */
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

  /** Nothing is left of what was there when the owner died. */
  clear(lease: SlotLease): void {
    const state = this.#states.get(lease.slot);
    if (state === undefined || state.crashes === 0 || state.blamed !== null) return;
    if (this.#clock.now() < this.#clearsFrom) return;
    const { crashes } = state;
    state.crashes = 0;
    // Tried again when the slot next runs empty, if it is still here then.
    this.#store.noteSuspect(this.#incarnation, lease, null).then(
      () => this.#events.cleared(lease),
      (error: unknown) => {
        state.crashes = crashes;
        state.survivors = 0;
        this.#clearsFrom = this.#clock.now() + this.#events.failed(error);
      },
    );
  }
}
