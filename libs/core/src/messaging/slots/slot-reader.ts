import type { Clock, KeyName, QueuedMessage, SlotQueueStore } from '../../ports/index.js';
import { Backoff } from './backoff.js';
import type { CrashSuspect } from './crash-suspect.js';
import { CrowdedSlots } from './crowded-slots.js';
import { FloorProber, type FloorProberEvents } from './floor-prober.js';
import type { Floors } from './floors.js';
import type { HeldLease } from './held-lease.js';
import type { KeyBook, Offer } from './key-book.js';
import type { LeaseKeeper } from './lease-keeper.js';
import { Pace } from './pace.js';
import { ReadBounds } from './read-bounds.js';
import { readRequest } from './read-request.js';
import type { SlotSettings } from './settings.js';
import type { Settlement } from './settlement.js';
import { SlotsToLookAt } from './slot-hints.js';
import type { SlotStates } from './slot-states.js';
import { TopicPasser } from './topic-passer.js';
import type { TopicsAway } from './topics-away.js';

interface Found {
  readonly rows: number;
  /** Whether more rows are there than were read. */
  readonly more: boolean;
}

const NOTHING: Found = { rows: 0, more: false };

/**
 * Reads ahead while earlier rows are worked on. Every read begins at the floors and leaves out rows in
 * flight; a cursor would miss rows that get their number early and are committed late.
 */
export class SlotReader {
  readonly #store: SlotQueueStore;
  readonly #clock: Clock;
  readonly #settings: SlotSettings;
  readonly #book: KeyBook;
  readonly #floors: Floors;
  readonly #leases: LeaseKeeper;
  readonly #states: SlotStates;
  readonly #settlement: Settlement;
  readonly #buffer: number;
  readonly #mayRead: () => boolean;
  readonly #took: () => void;
  readonly #failed: (error: unknown) => void;
  readonly #worked: () => void;
  readonly #probes: FloorProber;
  readonly #pace: Pace;
  readonly #lookAt = new SlotsToLookAt();
  readonly #backoff: Backoff;
  #room: (() => void) | undefined;
  #closed = false;
  #loop: Promise<void> | undefined;
  readonly #suspect: CrashSuspect;
  readonly #crowded: CrowdedSlots;
  readonly #away: TopicsAway;
  readonly #passer: TopicPasser;
  // Nothing is late before the start; the leases ask already while the reader is not started yet.
  #movedAt = Infinity;

  constructor(options: {
    readonly store: SlotQueueStore;
    readonly clock: Clock;
    readonly settings: SlotSettings;
    readonly book: KeyBook;
    readonly floors: Floors;
    readonly away: TopicsAway;
    readonly leases: LeaseKeeper;
    readonly states: SlotStates;
    readonly suspect: CrashSuspect;
    readonly settlement: Settlement;
    readonly buffer: number;
    readonly mayRead: () => boolean;
    readonly took: () => void;
    readonly failed: (error: unknown) => void;
    readonly worked: () => void;
    readonly probes: FloorProberEvents;
  }) {
    this.#store = options.store;
    this.#clock = options.clock;
    this.#settings = options.settings;
    this.#suspect = options.suspect;
    this.#book = options.book;
    this.#floors = options.floors;
    this.#leases = options.leases;
    this.#states = options.states;
    this.#settlement = options.settlement;
    this.#buffer = options.buffer;
    this.#mayRead = options.mayRead;
    this.#took = options.took;
    this.#failed = options.failed;
    this.#worked = options.worked;
    const { store, clock, floors, probes: events } = options;
    this.#probes = new FloorProber({ store, clock, floors, events });
    this.#crowded = new CrowdedSlots(options.clock);
    this.#away = options.away;
    this.#passer = new TopicPasser({ ...options, crowded: this.#crowded });
    this.#pace = new Pace(
      options.clock,
      options.settings.busyIntervalMs,
      options.settings.pollIntervalMs,
    );
    this.#backoff = new Backoff(options.clock, 100, 5_000);
  }

  /**
   * When the last read ended; now if no read can begin for want of room. Then the work keeps the room,
   * and its progress is watched separately.
   */
  get movedAt(): number {
    return this.#room === undefined ? this.#movedAt : this.#clock.now();
  }

  start(): void {
    this.#movedAt = this.#clock.now();
    this.#loop = this.#run();
  }

  /** @param slots - the slots to look at; null means all */
  hint(slots: readonly number[] | null = null): void {
    this.#lookAt.add(slots);
    this.#pace.hint();
  }

  /** A row has left memory, so there may be room for more, and the next crash suspect may be taken. */
  left(seq: string): void {
    this.#probes.removed();
    if (this.#suspect.leave(seq)) this.hint();
    this.makeRoom();
  }

  /** Rows were dropped or are overdue, so the next crash suspect does not wait for them. */
  dropped(): void {
    if (this.#suspect.sweep()) this.hint();
    this.makeRoom();
  }

  makeRoom(): void {
    if (this.#room === undefined || !this.#hasRoom()) return;
    const resume = this.#room;
    this.#room = undefined;
    resume();
  }

  private get closed(): boolean {
    return this.#closed;
  }

  async close(): Promise<void> {
    this.#closed = true;
    this.#pace.close();
    this.#backoff.stop();
    this.#room?.();
    await this.#loop;
  }

  /**
   * Takes a row. A row of a suspicious slot is taken only if no other such row is being worked on, and
   * after its number was noted.
   */
  async admit(row: QueuedMessage, lease: HeldLease, read: number): Promise<boolean> {
    const offer = this.#states.suspicious(row.slot)
      ? await this.#admitSuspect(row, lease, read)
      : this.#offer(row, lease, read);
    return isTaken(offer);
  }

  async #admitSuspect(row: QueuedMessage, lease: HeldLease, read: number): Promise<Offer> {
    if (!(await this.#suspect.enter(row, lease))) return 'later';
    const offer = this.#offer(row, lease, read);
    if (!isTaken(offer)) this.#suspect.leave(row.seq);
    return offer;
  }

  /** How many rows wait in memory for the work to take them. */
  get #waiting(): number {
    return this.#book.waiting - this.#away.waiting;
  }

  #hasRoom(): boolean {
    return (
      this.#closed ||
      // Where nothing is ready, all that waits here waits for messages of its own keys.
      ((this.#waiting <= this.#buffer / 2 || this.#book.ready.empty) &&
        this.#book.rows.size < this.#settings.maxTaken &&
        this.#book.roomBytes > 0 &&
        this.#mayRead())
    );
  }

  async #run(): Promise<void> {
    while (!this.#closed) {
      if (!this.#hasRoom()) await new Promise<void>((resolve) => (this.#room = resolve));
      if (this.closed) return;
      this.#pace.begin();
      try {
        const found = await this.#read();
        this.#backoff.reset();
        this.#worked();
        this.#movedAt = this.#clock.now();
        if (found.more) this.#lookAt.add(null);
        await this.#pace.next(found.rows, found.more);
      } catch (error) {
        this.#movedAt = this.#clock.now();
        this.#lookAt.add(null);
        this.#failed(error);
        await this.#backoff.wait();
      }
    }
  }

  async #read(): Promise<Found> {
    const turn = this.#states.turn();
    const only = this.#lookAt.take(this.#clock.now());
    // A slot that is to be given back gets no new rows, so that it runs empty.
    const trusted = turn.trusted.filter(
      (slot) => (only === null || only.has(slot)) && this.#leases.keeps(slot),
    );
    const suspicious = turn.suspicious.filter((slot) => this.#leases.keeps(slot));
    let found = NOTHING;
    if (trusted.length > 0) {
      const limit = Math.min(
        this.#settings.readLimit,
        Math.max(this.#buffer - this.#waiting, Math.ceil(this.#buffer / 2)),
      );
      // A few rows of many slots are read, not many of a few, because rows are stored in the order in
      // which they were written, so neighbours are read and removed together. With 300,000 rows
      // waiting this was 1.4 times as fast as 125 rows of eight slots at a time.
      const perSlot = Math.max(4, Math.ceil((2 * limit) / trusted.length));
      found = await this.#readSlots(trusted, Math.min(perSlot, limit), limit);
      const past = await this.#readPast(trusted, limit);
      found = { rows: found.rows + past, more: found.more };
    }
    if (suspicious.length > 0 && this.#suspect.free) {
      const rows = await this.#readSuspicious(suspicious);
      found = { rows: found.rows + rows, more: found.more };
    }
    const passes = await this.#passer.step([...turn.trusted, ...suspicious]);
    return { rows: found.rows, more: found.more || passes };
  }

  /** Takes one of the rows that are found. Returns 1 if another read should follow soon, otherwise 0. */
  async #readSuspicious(suspicious: readonly number[]): Promise<number> {
    const slots = this.#suspect.next(suspicious);
    // The limit is one more than there can be, to know that the read is complete.
    const { rows } = await this.#readSlots(slots, 1, slots.length + 1);
    return Math.min(1, rows + suspicious.length - slots.length);
  }

  /** Reads one slot past its busy keys, if a busy key hides others there. Returns how many rows it found. */
  async #readPast(trusted: readonly number[], limit: number): Promise<number> {
    const slot = this.#crowded.next((one) => trusted.includes(one));
    if (slot === null) return 0;
    const keys = this.#book.leftBehindIn(slot);
    if (keys.length === 0 && this.#away.topics.length === 0) return 0;
    const beganAt = this.#clock.now();
    const { rows } = await this.#readSlots([slot], limit, limit, keys);
    this.#crowded.read(beganAt);
    return rows;
  }

  /** @param past - the busy keys past which it reads, by a long way; undefined: none */
  async #readSlots(
    slots: readonly number[],
    perSlot: number,
    limit: number,
    past?: readonly KeyName[],
  ): Promise<Found> {
    // The floors rise past what is left out as well, while messages of other topics come and go.
    if (this.#away.topics.length > 0) this.#probes.removed();
    await this.#probes.probe();
    // Nothing is awaited from here to the read: the floors that are marked belong to these topics.
    const { topics } = this.#away;
    const read = this.#book.beginRead();
    const floors = (topics.length > 0 ? this.#floors.behind : null) ?? this.#floors;
    const mark = floors.mark(slots);
    const leases = new Map<number, HeldLease>();
    for (const slot of slots) {
      const lease = this.#leases.lease(slot);
      if (lease !== undefined) leases.set(slot, lease);
    }
    const result = await this.#store.read(
      readRequest({ slots, floors, book: this.#book, perSlot, limit, topics, past }),
    );
    if (this.closed) return NOTHING;
    const bounds = new ReadBounds(perSlot);
    let took = 0;
    for (const row of result.rows) {
      const lease = leases.get(row.slot);
      // The lease was lost, or lost and gained again, during the read.
      if (lease === undefined || !this.#leases.holds(lease)) continue;
      if (!this.#states.isLoaded(row.slot)) continue;
      const offer = this.#states.suspicious(row.slot)
        ? await this.#admitSuspect(row, lease, read)
        : this.#offer(row, lease, read);
      const taken = isTaken(offer);
      if (taken) took += 1;
      bounds.add(row, offer === 'full' ? 'full' : taken);
    }
    if (past !== undefined) {
      // Nothing follows from rows that such a read does not show.
      if (took > 0) this.#took();
      return { rows: took, more: false };
    }
    // Behind the rows that are left out there may be more than a read looks at.
    const full = result.complete && topics.length === 0;
    const last = result.rows[result.rows.length - 1];
    const cut = result.complete ? null : (last?.slot ?? null);
    for (const [slot, crowded] of bounds.crowded(cut)) this.#crowded.note(slot, crowded);
    bounds.raise(floors, slots, { full, mark, xmin: result.snapshotXmin });
    if (full) this.#clearEmpty(slots, bounds, leases);
    if (last === undefined) return NOTHING;
    this.#took();
    if (!result.complete) this.#states.advance(last.slot);
    // Rows that could not be taken wait for an answer of the store: asking at once shows the same rows.
    const more = took > 0 && perSlot > 1 && (!result.complete || bounds.cutOff);
    return { rows: result.rows.length, more };
  }

  #offer(row: QueuedMessage, lease: HeldLease, read: number): Offer {
    // Its topic is left out since this read began.
    if (this.#away.leavesOut(row.message.topic)) return 'later';
    const offer = this.#book.offer(row, lease, read, this.#states.afterDeath(row));
    if (offer === 'hold') {
      const taken = this.#book.rows.get(row.seq);
      if (taken !== undefined) this.#settlement.hold(taken);
    }
    return offer;
  }

  /** Clears the suspicion of empty slots: the messages that may have killed their owners are done. */
  #clearEmpty(
    slots: readonly number[],
    bounds: ReadBounds,
    leases: ReadonlyMap<number, HeldLease>,
  ): void {
    for (const slot of slots) {
      const lease = leases.get(slot);
      if (lease === undefined || bounds.has(slot) || !this.#leases.holds(lease)) continue;
      if (this.#book.countOf(slot) === 0) this.#states.clear(lease);
    }
  }
}

/** Whether the row is known here now, so that the floor may go past it. */
function isTaken(offer: Offer): boolean {
  return offer !== 'full' && offer !== 'later';
}
