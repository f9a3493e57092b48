import { errorText } from '../../errors/index.js';
import type { Clock, Logger, SlotLease, SlotQueueStore, Timer } from '../../ports/index.js';
import type { HeldLease } from './held-lease.js';
import { LapsedLeases } from './lapsed-leases.js';
import { shuffled } from './shuffled.js';

/** Events that the keeper reports to the consumer whose leases it keeps. */
export interface LeaseEvents {
  /** @param regained - those of the slots that no other process had since this one lost them */
  gained(leases: readonly HeldLease[], regained: ReadonlySet<number>): void;
  lost(slots: readonly number[]): void;
  /** The leases were renewed, so rows for which too little time was left may be begun now. */
  renewed(leases: readonly HeldLease[]): void;
  /** An operator changed rows of the slot, so what this process knows of it is out of date. */
  changed(lease: HeldLease): void;
  /** Whether no row of the slot is in work, so that it may be given back. */
  drained(slot: number): boolean;
  /** Whether the work has made progress lately; otherwise the leases are not renewed. */
  alive(): boolean;
  /** Returns the pause before the next try in milliseconds; 0 if the failure may pass by itself. */
  failed(error: unknown): number;
  /** A whole round succeeded. */
  worked(): void;
}

interface Held {
  lease: HeldLease;
  /** When the lease ends, by this process's clock, counted from before the request was sent. */
  trustedUntil: number;
  draining: boolean;
}

/**
 * Keeps the membership and the leases of a process. A lease is trusted for its time to live from
 * before the request that renewed it was sent, so never for longer than in the database. Slots are
 * shared fairly among the living members, and a slot is given back only when no row of it is in work,
 * so members that come and go do not take it from each other.
 */
export class LeaseKeeper {
  readonly #held = new Map<number, Held>();
  readonly #lapsed = new LapsedLeases();
  readonly #store: SlotQueueStore;
  readonly #clock: Clock;
  readonly #logger: Logger;
  readonly #incarnation: string;
  readonly #ttlMs: number;
  readonly #events: LeaseEvents;
  #timer: Timer | undefined;
  #expiry: Timer | undefined;
  #joined = false;
  #closing = false;
  #round: Promise<void> | undefined;
  #again = false;
  #stalled = false;
  /** Whether a slot may be waiting to be given back. */
  #draining = false;
  /** When a renewal was last answered. */
  #renewedAt = Infinity;
  /** Before this time no slot of another owner is taken. */
  #acquiresFrom = -Infinity;
  /** How many times slots were gained. */
  #tenures = 0;
  #error: unknown = null;

  constructor(options: {
    readonly store: SlotQueueStore;
    readonly clock: Clock;
    readonly logger: Logger;
    readonly incarnation: string;
    readonly ttlMs: number;
    readonly events: LeaseEvents;
  }) {
    this.#store = options.store;
    this.#clock = options.clock;
    this.#logger = options.logger;
    this.#incarnation = options.incarnation;
    this.#ttlMs = options.ttlMs;
    this.#events = options.events;
  }

  /** The number of slots that are held and whose leases are trusted. */
  get size(): number {
    return this.#held.size;
  }

  get stalled(): boolean {
    return this.#stalled;
  }

  get error(): unknown {
    return this.#error;
  }

  start(): void {
    this.#kick();
  }

  lease(slot: number): HeldLease | undefined {
    return this.#held.get(slot)?.lease;
  }

  /** Whether the slot was held all the time since it was gained with this lease. */
  holds(lease: HeldLease): boolean {
    return this.#held.get(lease.slot)?.lease.tenure === lease.tenure;
  }

  /** Whether work that takes up to `budgetMs` may be begun in the slot. */
  trusts(slot: number, budgetMs: number): boolean {
    return this.#clock.now() + budgetMs < this.trustedUntil(slot);
  }

  /** When the lease ends that is known now; `-Infinity` if the slot is not held. */
  trustedUntil(slot: number): number {
    return this.#held.get(slot)?.trustedUntil ?? -Infinity;
  }

  /** Whether the slot is held and not about to be given back. */
  keeps(slot: number): boolean {
    return this.#held.get(slot)?.draining === false;
  }

  /** The leases of those slots that are held and not about to be given back. */
  kept(slots: readonly number[]): readonly HeldLease[] {
    return slots.flatMap((slot) => {
      const held = this.#held.get(slot);
      return held === undefined || held.draining ? [] : [held.lease];
    });
  }

  /** The store has recorded that no crash is counted against the slot any more. */
  cleared({ slot, epoch }: SlotLease): void {
    const held = this.#held.get(slot);
    // After the lease's time the answer may come from after a take-over, and then nothing was cleared.
    if (held?.lease.epoch !== epoch || this.#clock.now() >= held.trustedUntil) return;
    held.lease = { ...held.lease, crashes: 0, suspect: null };
  }

  /** The store answered that a lease is lost, so all leases are checked at once. */
  doubt(): void {
    this.#kick();
  }

  /** A row of a slot has ended, so the slot may be ready to be given back. */
  noteDrained(): void {
    // This is called for every row that ends, and there is almost never a slot to give back.
    if (!this.#draining) return;
    for (const [slot, held] of this.#held) {
      if (!held.draining || !this.#events.drained(slot)) continue;
      this.#kick();
      return;
    }
  }

  /** Gains no more slots; the leases are still renewed until {@link leave}. */
  close(): void {
    this.#closing = true;
  }

  /** Gives back slots without work; when none is left, ends the membership too. */
  async leave(): Promise<void> {
    this.#closing = true;
    this.#timer?.cancel();
    this.#expiry?.cancel();
    await this.#round;
    this.#timer?.cancel();
    this.#expiry?.cancel();
    const drained = [...this.#held.keys()].filter((slot) => this.#events.drained(slot));
    const all = drained.length === this.#held.size;
    this.#held.clear();
    try {
      // A slot with work keeps its lease until it expires: if it was given back now, two processes
      // would work on it.
      if (all) await this.#store.leave(this.#incarnation);
      else await this.#store.release(this.#incarnation, drained);
    } catch (error) {
      this.#logger.warn('The slots could not be given back; they expire by themselves.', {
        error: errorText(error),
      });
    }
  }

  #kick(): void {
    if (this.#round !== undefined) {
      this.#again = true;
      return;
    }
    this.#timer?.cancel();
    this.#round = this.#run().finally(() => {
      this.#round = undefined;
      if (this.#closing && this.#held.size === 0) return;
      if (this.#again) {
        this.#again = false;
        this.#kick();
      }
    });
  }

  async #run(): Promise<void> {
    let nextMs = this.#ttlMs / 3;
    if (!this.#events.alive()) {
      // If leases were renewed while the work hangs, no other process could take over its messages.
      this.#stalled = true;
      nextMs = this.#ttlMs / 10;
    } else {
      this.#stalled = false;
      try {
        const wants = await this.#renew();
        await this.#retract();
        this.#error = null;
        this.#events.worked();
        if (wants) nextMs = Math.min(nextMs, 1_000, this.#ttlMs / 5);
      } catch (error) {
        this.#error = error;
        nextMs = Math.max(this.#ttlMs / 10, this.#events.failed(error));
      }
    }
    this.#dropExpired();
    if (!this.#closing || this.#held.size > 0) {
      this.#timer = this.#clock.after(nextMs, () => this.#kick());
    }
  }

  /** One round. Returns whether the next one should follow soon: slots are missing, or were locked. */
  async #renew(): Promise<boolean> {
    if (!this.#joined) {
      await this.#store.join(this.#incarnation, this.#ttlMs);
      this.#joined = true;
    }
    const sentAt = this.#clock.now();
    const { members, leases, busy } = await this.#store.renew(this.#incarnation, this.#ttlMs);
    this.#take(leases, new Set(busy), sentAt);
    this.#noteGap();
    this.#events.renewed([...this.#held.values()].map((held) => held.lease));
    const share = Math.ceil(this.#store.slots / Math.max(1, members));
    await this.#giveBack(share);
    const kept = [...this.#held.values()].filter((held) => !held.draining).length;
    if (this.#closing || kept >= share) return busy.length > 0;
    for (const held of this.#held.values()) held.draining = false;
    this.#draining = false;
    const missing = share - this.#held.size;
    if (missing <= 0) return busy.length > 0;
    if (this.#clock.now() < this.#acquiresFrom) return true;
    const askedAt = this.#clock.now();
    const gained = await this.#store.acquire(this.#incarnation, this.#ttlMs, missing);
    this.#add(gained, askedAt);
    return gained.length < missing || busy.length > 0;
  }

  /**
   * Pauses after this process was stopped or cut off for longer than a lease. Others may have been, too:
   * without the pause the first one back would take all slots and count a crash against each of them.
   */
  #noteGap(): void {
    const now = this.#clock.now();
    if (now - this.#renewedAt > this.#ttlMs) this.#acquiresFrom = now + this.#ttlMs / 3;
    this.#renewedAt = now;
  }

  /** Takes back the crashes that others counted when they took over from this process, which lives. */
  async #retract(): Promise<void> {
    const leases = this.#lapsed.drained((slot) => this.#events.drained(slot));
    if (leases.length === 0) return;
    this.#lapsed.retracted(await this.#store.retractCrashes(leases));
  }

  #take(leases: readonly SlotLease[], busy: ReadonlySet<number>, sentAt: number): void {
    const answered = new Map(leases.map((lease) => [lease.slot, lease]));
    const lost: number[] = [];
    for (const [slot, held] of this.#held) {
      if (answered.get(slot)?.epoch === held.lease.epoch || busy.has(slot)) continue;
      this.#held.delete(slot);
      this.#lapsed.add(held.lease);
      lost.push(slot);
    }
    if (lost.length > 0) this.#events.lost(lost);
    const gained: SlotLease[] = [];
    for (const lease of leases) {
      const held = this.#held.get(lease.slot);
      if (held === undefined) {
        gained.push(lease);
        continue;
      }
      held.trustedUntil = sentAt + this.#ttlMs;
      const stale = held.lease.version !== lease.version;
      held.lease = { ...lease, tenure: held.lease.tenure };
      if (stale) this.#events.changed(held.lease);
    }
    this.#add(gained, sentAt);
    this.#watchExpiry();
  }

  #add(leases: readonly SlotLease[], sentAt: number): void {
    const trustedUntil = sentAt + this.#ttlMs;
    // An answer that took longer than the lease does not show that the lease is held.
    if (leases.length === 0 || this.#clock.now() >= trustedUntil) return;
    this.#tenures += 1;
    const gained = leases.map((lease) => ({ ...lease, tenure: this.#tenures }));
    const regained = new Set<number>();
    for (const lease of gained) {
      this.#held.set(lease.slot, { lease, trustedUntil, draining: false });
      if (this.#lapsed.regained(lease)) regained.add(lease.slot);
    }
    this.#events.gained(gained, regained);
    this.#watchExpiry();
  }

  async #giveBack(share: number): Promise<void> {
    const kept = shuffled([...this.#held].filter(([, held]) => !held.draining));
    const surplus = kept.length - share;
    if (surplus > 0) {
      // No more rows are read of a slot that is to be given back, so idle slots come first: in a slot
      // with a slow handler all other keys would have to wait.
      const idle = kept.filter(([slot]) => this.#events.drained(slot));
      const busy = kept.filter(([slot]) => !this.#events.drained(slot));
      for (const [, held] of [...idle, ...busy].slice(0, surplus)) held.draining = true;
      this.#draining = true;
    }
    const ready = [...this.#held].filter(
      ([slot, held]) => held.draining && this.#events.drained(slot),
    );
    if (ready.length === 0) return;
    const slots = ready.map(([slot]) => slot);
    for (const slot of slots) this.#held.delete(slot);
    this.#events.lost(slots);
    await this.#store.release(this.#incarnation, slots);
  }

  #watchExpiry(): void {
    this.#expiry?.cancel();
    let first = Infinity;
    for (const held of this.#held.values()) first = Math.min(first, held.trustedUntil);
    if (first === Infinity) return;
    this.#expiry = this.#clock.after(first - this.#clock.now(), () => this.#dropExpired());
  }

  #dropExpired(): void {
    const now = this.#clock.now();
    const lost: number[] = [];
    for (const [slot, held] of this.#held) {
      if (now < held.trustedUntil) continue;
      this.#held.delete(slot);
      this.#lapsed.add(held.lease);
      lost.push(slot);
    }
    if (lost.length > 0) this.#events.lost(lost);
    this.#watchExpiry();
  }
}
