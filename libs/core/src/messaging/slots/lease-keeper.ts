import { errorText } from '../../errors/index.js';
import type { Clock, Logger, SlotLease, SlotQueueStore, Timer } from '../../ports/index.js';
import type { HeldLease } from './held-lease.js';
import { LapsedLeases } from './lapsed-leases.js';
import { shuffled } from './shuffled.js';

/** What the keeper tells the consumer it keeps slots for. */
export interface LeaseEvents {
  /** @param regained those of the slots that nobody else had since this process lost them */
  gained(leases: readonly HeldLease[], regained: ReadonlySet<number>): void;
  lost(slots: readonly number[]): void;
  /** The leases live on: what could not be begun for want of time left may be begun now. */
  renewed(leases: readonly HeldLease[]): void;
  /** An operator changed rows: the slot's memory is stale. */
  changed(lease: HeldLease): void;
  /** Nothing of the slot is under way: it may be given back. */
  drained(slot: number): boolean;
  /** The loop has moved lately; otherwise the leases are not renewed. */
  alive(): boolean;
  /** For how long it is better not tried again, in milliseconds; 0 where it may pass by itself. */
  failed(error: unknown): number;
  /** A whole round went through. */
  worked(): void;
}

interface Held {
  lease: HeldLease;
  /** By this process's monotonic clock, counted from before the request was sent. */
  trustedUntil: number;
  draining: boolean;
}

/**
 * Membership and leases. A lease is trusted for its time to live counted from before the request
 * that renewed it was sent, so never longer than the database thinks. Shares are fair among the
 * living; a slot is given back only when nothing of it is under way, so three processes that come
 * and go never fight over one.
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
  /** Some slot may be on its way back. */
  #draining = false;
  /** When a renewal was last answered. */
  #renewedAt = Infinity;
  /** Before that no slot of others is taken. */
  #acquiresFrom = -Infinity;
  /** How often slots were gained. */
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

  /** How many slots are held and trusted. */
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

  /** Whether something that takes up to `budgetMs` may be begun in the slot. */
  trusts(slot: number, budgetMs: number): boolean {
    const held = this.#held.get(slot);
    return held !== undefined && this.#clock.now() + budgetMs < held.trustedUntil;
  }

  /** Whether the slot is held and not about to be given back. */
  keeps(slot: number): boolean {
    return this.#held.get(slot)?.draining === false;
  }

  /** The leases of those of the slots that are held and not about to be given back. */
  kept(slots: readonly number[]): readonly HeldLease[] {
    return slots.flatMap((slot) => {
      const held = this.#held.get(slot);
      return held === undefined || held.draining ? [] : [held.lease];
    });
  }

  /** The store has it that no crash is counted against the slot any more. */
  cleared({ slot, epoch }: SlotLease): void {
    const held = this.#held.get(slot);
    // Past its time the answer may come from after a take-over, and then nothing was cleared.
    if (held?.lease.epoch !== epoch || this.#clock.now() >= held.trustedUntil) return;
    held.lease = { ...held.lease, crashes: 0, suspect: null };
  }

  /** A store told that a lease is lost: looks at once instead of at the next renewal. */
  doubt(): void {
    this.#kick();
  }

  /** Something of a slot has ended, so a slot may be ready to be given back. */
  noteDrained(): void {
    // Called for every row that ends, and nearly never with anything to give back.
    if (!this.#draining) return;
    for (const [slot, held] of this.#held) {
      if (!held.draining || !this.#events.drained(slot)) continue;
      this.#kick();
      return;
    }
  }

  /** Stops gaining; goes on renewing until {@link leave}. */
  close(): void {
    this.#closing = true;
  }

  /** Gives back the slots that are drained; when all are, forgets the membership too. */
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
      // What is still under way keeps its lease until it expires: a slot given back now would be
      // worked on in two processes at once.
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
      // Heartbeats that run while the work behind them hangs would keep messages from everybody.
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

  /** One round; whether there are fewer slots than there should be. */
  async #renew(): Promise<boolean> {
    if (!this.#joined) {
      await this.#store.join(this.#incarnation, this.#ttlMs);
      this.#joined = true;
    }
    const sentAt = this.#clock.now();
    const { members, leases } = await this.#store.renew(this.#incarnation, this.#ttlMs);
    this.#take(leases, sentAt);
    this.#noteGap();
    this.#events.renewed([...this.#held.values()].map((held) => held.lease));
    const share = Math.ceil(this.#store.slots / Math.max(1, members));
    await this.#giveBack(share);
    const kept = [...this.#held.values()].filter((held) => !held.draining).length;
    if (this.#closing || kept >= share) return false;
    for (const held of this.#held.values()) held.draining = false;
    this.#draining = false;
    const missing = share - this.#held.size;
    if (missing <= 0) return false;
    if (this.#clock.now() < this.#acquiresFrom) return true;
    const askedAt = this.#clock.now();
    const gained = await this.#store.acquire(this.#incarnation, this.#ttlMs, missing);
    this.#add(gained, askedAt);
    return gained.length < missing;
  }

  /**
   * This process was stopped or cut off for longer than a lease lives. Others may have been, too: without
   * a pause the first one back would take all slots and count a crash against each of them.
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
    await this.#store.retractCrashes(leases);
    this.#lapsed.retracted(leases);
  }

  #take(leases: readonly SlotLease[], sentAt: number): void {
    const answered = new Map(leases.map((lease) => [lease.slot, lease]));
    const lost: number[] = [];
    for (const [slot, held] of this.#held) {
      if (answered.get(slot)?.epoch === held.lease.epoch) continue;
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
    // An answer that took longer than the lease lives proves nothing any more.
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
      // Nothing more is read of a slot that is to be given back, so one that is idle comes first: behind
      // a handler that takes long all other keys of its slot would wait.
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
