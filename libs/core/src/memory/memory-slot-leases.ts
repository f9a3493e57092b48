import type { Clock, RenewedLeases, SlotLease } from '../ports/index.js';

interface SlotRow {
  owner: string | null;
  epoch: number;
  version: number;
  crashes: number;
  suspect: string | null;
  until: number;
}

/** Members and lease rows of a slot queue. Times are those of the store's clock. */
export class MemorySlotLeases {
  readonly #clock: Clock;
  readonly #rows: SlotRow[];
  readonly #members = new Map<string, number>();

  constructor(clock: Clock, slots: number) {
    this.#clock = clock;
    this.#rows = Array.from({ length: slots }, () => ({
      owner: null,
      epoch: 0,
      version: 0,
      crashes: 0,
      suspect: null,
      until: -Infinity,
    }));
  }

  join(incarnation: string, ttlMs: number): void {
    this.#members.set(incarnation, this.#clock.now() + ttlMs);
  }

  /** @param tryLock locks the lease row of a slot; false if another transaction has it */
  renew(incarnation: string, ttlMs: number, tryLock: (slot: number) => boolean): RenewedLeases {
    const now = this.#clock.now();
    this.join(incarnation, ttlMs);
    for (const [member, until] of this.#members) {
      if (until <= now) this.#members.delete(member);
    }
    const leases: SlotLease[] = [];
    const busy: number[] = [];
    this.#rows.forEach((row, slot) => {
      if (row.owner !== incarnation) return;
      if (!tryLock(slot)) {
        busy.push(slot);
        return;
      }
      row.until = now + ttlMs;
      leases.push(this.#lease(slot, row));
    });
    return { members: this.#members.size, leases, busy };
  }

  /** Whether at least one member lives. */
  get served(): boolean {
    return this.living > 0;
  }

  /** How many members live. */
  get living(): number {
    const now = this.#clock.now();
    return [...this.#members.values()].filter((until) => until > now).length;
  }

  /** Slots without a living owner, in random order. */
  free(): number[] {
    const now = this.#clock.now();
    const free = [...this.#rows.keys()].filter((slot) => {
      const row = this.#rows[slot];
      return row !== undefined && (row.owner === null || row.until <= now);
    });
    for (let at = free.length - 1; at > 0; at -= 1) {
      const other = Math.floor(Math.random() * (at + 1));
      const [a = 0, b = 0] = [free[at], free[other]];
      free[at] = b;
      free[other] = a;
    }
    return free;
  }

  take(slot: number, incarnation: string, ttlMs: number): SlotLease {
    const row = this.#row(slot);
    // A member that gives a slot back sets its owner to null, so an owner that is still named has
    // died.
    if (row.owner !== null) row.crashes += 1;
    row.owner = incarnation;
    row.epoch += 1;
    row.until = this.#clock.now() + ttlMs;
    return this.#lease(slot, row);
  }

  release(incarnation: string, slots: readonly number[]): void {
    for (const slot of slots) {
      const row = this.#row(slot);
      if (row.owner !== incarnation) continue;
      row.owner = null;
      row.crashes = 0;
      row.suspect = null;
    }
  }

  leave(incarnation: string): void {
    this.#members.delete(incarnation);
  }

  holds(incarnation: string, lease: SlotLease): boolean {
    const row = this.#row(lease.slot);
    return row.owner === incarnation && row.epoch === lease.epoch;
  }

  noteSuspect(lease: SlotLease, seq: string | null): void {
    const row = this.#row(lease.slot);
    row.suspect = seq;
    if (seq === null) row.crashes = 0;
  }

  retractCrashes(lapsed: readonly SlotLease[]): void {
    for (const { slot, epoch, crashes } of lapsed) {
      const row = this.#row(slot);
      if (row.epoch !== epoch + 1 || row.crashes <= crashes) continue;
      row.crashes = crashes;
      if (crashes === 0) row.suspect = null;
    }
  }

  raiseVersion(slot: number): void {
    this.#row(slot).version += 1;
  }

  #lease(slot: number, { epoch, version, crashes, suspect }: SlotRow): SlotLease {
    return { slot, epoch, version, crashes, suspect };
  }

  #row(slot: number): SlotRow {
    const row = this.#rows[slot];
    if (row === undefined) throw new RangeError(`There is no slot ${slot}.`);
    return row;
  }
}
