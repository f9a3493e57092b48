import { storeFailureOf } from '../../errors/index.js';
import type {
  Clock,
  Place,
  SlotChange,
  SlotChangeOutcome,
  SlotQueueStore,
  Timer,
} from '../../ports/index.js';
import { Backoff } from './backoff.js';
import type { HeldLease } from './held-lease.js';
import type { KeyLine } from './key-line.js';

const LARGEST_BATCH = 1_000;
/** The pause before a delayed change is tried again, doubled up to the longest; in milliseconds. */
const ASIDE_MS = 1_000;
const LONGEST_ASIDE_MS = 60_000;
/** The same for a change whose row is locked: most locks are held for a moment. */
const BUSY_MS = 50;

/** The outcome that a caller is told. Never `busy`: the pump itself tries such a change again. */
export type SettledChange = Exclude<SlotChangeOutcome, 'busy'>;

/** The changes of a key whose first one the store refuses, or whose row is locked. */
interface Aside {
  readonly items: PumpItem[];
  /** The first pause, in milliseconds. */
  readonly firstMs: number;
  failures: number;
  dueAt: number;
}

/** One change to be written, in order. */
export type PumpItem =
  | {
      readonly kind: 'change';
      readonly lease: HeldLease;
      readonly change: SlotChange;
      /** The key of the change: changes of one key are written in order. */
      readonly line?: KeyLine;
      readonly done: (outcome: SettledChange) => void;
    }
  /** Removes the row that held back a key; before the release of the key that follows. */
  | {
      readonly kind: 'complete';
      readonly place: Place;
      readonly line?: KeyLine;
      readonly done: () => void;
    }
  /** A read that must see all earlier changes and none of the later ones. */
  | { readonly kind: 'barrier'; readonly run: () => Promise<void> };

/**
 * Writes the outcomes of rows that were not simply done to the store, one batch at a time and in order,
 * because the held rows of a key depend on what was written before. A change that fails is repeated
 * until the store answers or its slot is lost; without it, a refused message would be published again
 * and again without a count.
 *
 * A batch that fails is halved, down to one change. A change that fails alone is delayed, with the
 * later changes of its key, and tried again with other delayed ones, so that it does not hold up the
 * retries and dead letters of other keys. So is a change whose row another transaction has locked; the
 * store says which one that is.
 */
export class ChangePump {
  readonly #store: SlotQueueStore;
  readonly #incarnation: string;
  readonly #holds: (lease: HeldLease) => boolean;
  readonly #beforeChange: () => void | Promise<void>;
  readonly #failed: (error: unknown) => void;
  readonly #worked: () => void;
  readonly #clock: Clock;
  readonly #backoff: Backoff;
  #items: PumpItem[] = [];
  #limit = LARGEST_BATCH;
  #asideLimit = LARGEST_BATCH;
  #hurriedAt = -Infinity;
  readonly #aside = new Map<object, Aside>();
  #timer: Timer | undefined;
  #running: Promise<void> | undefined;
  /** Called when delayed changes are tried again, or never will be. */
  #resumed: () => void = () => undefined;

  constructor(options: {
    readonly store: SlotQueueStore;
    readonly clock: Clock;
    readonly incarnation: string;
    /** Whether this process still holds that very lease. */
    readonly holds: (lease: HeldLease) => boolean;
    readonly beforeChange: () => void | Promise<void>;
    readonly failed: (error: unknown) => void;
    readonly worked: () => void;
  }) {
    this.#store = options.store;
    this.#incarnation = options.incarnation;
    this.#holds = options.holds;
    this.#beforeChange = options.beforeChange;
    this.#failed = options.failed;
    this.#worked = options.worked;
    this.#clock = options.clock;
    this.#backoff = new Backoff(options.clock, 50, 5_000);
  }

  get idle(): boolean {
    return this.#running === undefined && this.#aside.size === 0;
  }

  /** Resolves when the present work has ended, or, if only delayed changes are left, after their next try. */
  async settled(): Promise<void> {
    // The caller asks again until nothing is left. Without this wait it would ask for ever within one turn
    // of the event loop, in which no timer fires, and the process would stand still.
    if (this.#running === undefined && this.#aside.size > 0) {
      await new Promise<void>((resolve) => (this.#resumed = resolve));
    }
    await this.#running;
  }

  push(item: PumpItem): void {
    const aside = this.#aside.get(lineOf(item));
    if (aside === undefined) this.#items.push(item);
    else aside.items.push(item);
    this.#begin();
  }

  #begin(): void {
    this.#running ??= this.#run();
    this.#resumed();
  }

  /** Gives up waiting between attempts: the consumer closes for good. */
  stop(): void {
    this.#items = [];
    this.#aside.clear();
    this.#timer?.cancel();
    this.#backoff.stop();
    this.#resumed();
  }

  async #run(): Promise<void> {
    // Changes that are added within this tick are included: those of the messages behind a failed one.
    await Promise.resolve();
    try {
      for (;;) {
        const moreAside = await this.#retryAside();
        if (this.#items.length === 0) {
          if (moreAside) continue;
          return;
        }
        const batch = this.#nextBatch();
        try {
          this.#setAside(await this.#apply(batch), BUSY_MS);
          this.#backoff.reset();
          this.#limit = Math.min(2 * this.#limit, LARGEST_BATCH);
          // A successful read does not show that the store takes changes again.
          if (batch[0]?.kind !== 'barrier' || this.#aside.size === 0) this.#worked();
        } catch (error) {
          this.#failed(error);
          if (this.#backoff.stopped) return;
          if (batch.length === 1 && batch[0]?.kind !== 'barrier') this.#setAside(batch, ASIDE_MS);
          else this.#items = [...batch, ...this.#items];
          this.#limit = Math.max(1, Math.ceil(batch.length / 2));
          await this.#backoff.wait();
        }
      }
    } finally {
      // Cleared in the same step as the last check for work. A tick later, a change added in between
      // would wait until another one is added.
      this.#running = undefined;
      this.#watchAside();
    }
  }

  /** Delays changes that could not be made, with all later changes of their keys. */
  #setAside(items: readonly PumpItem[], firstMs: number): void {
    const dueAt = this.#clock.now() + firstMs;
    for (const item of items) {
      const line = lineOf(item);
      const known = this.#aside.get(line);
      if (known === undefined)
        this.#aside.set(line, { items: [item], firstMs, failures: 1, dueAt });
      else known.items.push(item);
    }
    if (items.length === 0) return;
    const others: PumpItem[] = [];
    for (const item of this.#items) (this.#aside.get(lineOf(item))?.items ?? others).push(item);
    this.#items = others;
  }

  /**
   * Tries delayed changes that are due: the first one of each key, several keys at once. A batch that
   * fails is halved. Returns whether more are due. Only one batch is tried at a time, so that other
   * changes are written in between.
   */
  async #retryAside(): Promise<boolean> {
    const lines = this.#dueLines();
    if (lines.length === 0) return false;
    try {
      const firsts = lines.flatMap(([, { items }]) => items.slice(0, 1));
      const busy = new Set((await this.#apply(firsts)).map(lineOf));
      this.#asideLimit = Math.min(2 * this.#asideLimit, LARGEST_BATCH);
      if (busy.size < lines.length) this.#hurryOthers();
      for (const [line, aside] of lines) {
        if (busy.has(line)) {
          this.#delay(aside);
          continue;
        }
        this.#aside.delete(line);
        // Taken now and not before the wait: the key may have got further changes meanwhile.
        this.#items = [...aside.items.slice(1), ...this.#items];
      }
      this.#worked();
    } catch (error) {
      this.#failed(error);
      if (this.#backoff.stopped) return false;
      // A single change cannot make the store be away.
      const apart = lines.length > 1 && storeFailureOf(error) !== 'away';
      if (apart) this.#asideLimit = Math.ceil(lines.length / 2);
      else for (const [, aside] of lines) this.#delay(aside);
    }
    return this.#dueLines().length > 0;
  }

  /** The next keys whose delayed changes are due, at most as many as fit into a batch. */
  #dueLines(): readonly (readonly [object, Aside])[] {
    const now = this.#clock.now();
    const due: (readonly [object, Aside])[] = [];
    for (const entry of this.#aside) {
      if (due.length >= this.#asideLimit) break;
      if (entry[1].dueAt <= now) due.push(entry);
    }
    return due;
  }

  /**
   * All delayed changes become due, because the store takes what it refused before. That happens once in
   * the longest pause, so that keys which go on failing are not tried more often.
   */
  #hurryOthers(): void {
    const now = this.#clock.now();
    if (now - this.#hurriedAt < LONGEST_ASIDE_MS) return;
    this.#hurriedAt = now;
    for (const aside of this.#aside.values()) aside.dueAt = Math.min(aside.dueAt, now);
  }

  #delay(aside: Aside): void {
    const pauseMs = Math.min(aside.firstMs * 2 ** aside.failures, LONGEST_ASIDE_MS);
    aside.failures += 1;
    aside.dueAt = this.#clock.now() + pauseMs;
  }

  #watchAside(): void {
    this.#timer?.cancel();
    if (this.#backoff.stopped || this.#aside.size === 0) return;
    const dueAt = Math.min(...Array.from(this.#aside.values(), (aside) => aside.dueAt));
    this.#timer = this.#clock.after(Math.max(0, dueAt - this.#clock.now()), () => this.#begin());
  }

  #nextBatch(): PumpItem[] {
    if (this.#items[0]?.kind === 'barrier') return this.#items.splice(0, 1);
    const barrier = this.#items.findIndex((item) => item.kind === 'barrier');
    return this.#items.splice(0, Math.min(barrier < 0 ? Infinity : barrier, this.#limit));
  }

  /**
   * Makes changes. Returns those whose rows are locked, and the later ones of the same keys that were not
   * made, in their order.
   */
  async #apply(batch: readonly PumpItem[]): Promise<readonly PumpItem[]> {
    const completes: Extract<PumpItem, { kind: 'complete' }>[] = [];
    const leases = new Map<number, HeldLease>();
    const changes: Extract<PumpItem, { kind: 'change' }>[] = [];
    for (const item of batch) {
      if (item.kind === 'barrier') {
        await item.run();
        return [];
      }
      if (item.kind === 'complete') {
        completes.push(item);
      } else if (this.#holds(item.lease)) {
        leases.set(item.lease.slot, item.lease);
        changes.push(item);
      } else {
        item.done('lost_lease');
      }
    }
    const busy = new Set<PumpItem>();
    const lines = new Set<object>();
    if (completes.length > 0) {
      const left = await this.#store.complete(completes.map((item) => item.place));
      const seqs = new Set(left.map(({ seq }) => seq));
      // Its answer is used at once. If a change fails after it, the batch is repeated, which is
      // harmless.
      for (const item of completes) {
        if (!seqs.has(item.place.seq)) {
          item.done();
          continue;
        }
        busy.add(item);
        lines.add(lineOf(item));
      }
    }
    // While the head of a key is still there, its followers must not be released.
    for (const item of changes) if (lines.has(lineOf(item))) busy.add(item);
    const told = changes.filter((item) => !busy.has(item));
    if (told.length > 0) {
      await this.#beforeChange();
      const outcomes = await this.#store.change(
        this.#incarnation,
        [...leases.values()],
        told.map((item) => item.change),
      );
      told.forEach((item, at) => {
        const outcome = outcomes[at] ?? 'gone';
        if (outcome === 'busy') busy.add(item);
        else item.done(outcome);
      });
    }
    return batch.filter((item) => busy.has(item));
  }
}

/** A change without a key has a line of its own. */
function lineOf(item: PumpItem): object {
  return item.kind === 'barrier' ? item : (item.line ?? item);
}
