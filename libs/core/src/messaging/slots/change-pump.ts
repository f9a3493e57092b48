import type {
  Clock,
  Place,
  SlotChange,
  SlotChangeOutcome,
  SlotLease,
  SlotQueueStore,
} from '../../ports/index.js';
import { Backoff } from './backoff.js';

/** One thing to tell the store, in its turn. */
export type PumpItem =
  | {
      readonly kind: 'change';
      readonly lease: SlotLease;
      readonly change: SlotChange;
      readonly done: (outcome: SlotChangeOutcome) => void;
    }
  /** Removes the row that held back a key; before the release of the key that follows. */
  | { readonly kind: 'complete'; readonly place: Place; readonly done: () => void }
  /** Something that must see all earlier changes and none of the later ones. */
  | { readonly kind: 'barrier'; readonly run: () => Promise<void> };

/**
 * Tells the store, one batch at a time and in order, what became of rows that were not simply done.
 * One at a time, because what a key's held rows may do depends on what was written before. What
 * fails is said again until it is answered or its slot is lost: leaving it would publish a refused
 * message again and again without counting.
 */
export class ChangePump {
  readonly #store: SlotQueueStore;
  readonly #incarnation: string;
  readonly #holds: (lease: SlotLease) => boolean;
  readonly #beforeChange: () => void | Promise<void>;
  readonly #failed: (error: unknown) => void;
  readonly #worked: () => void;
  readonly #backoff: Backoff;
  #items: PumpItem[] = [];
  #running: Promise<void> | undefined;

  constructor(options: {
    readonly store: SlotQueueStore;
    readonly clock: Clock;
    readonly incarnation: string;
    /** Whether this process still holds that very lease. */
    readonly holds: (lease: SlotLease) => boolean;
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
    this.#backoff = new Backoff(options.clock, 50, 5_000);
  }

  get idle(): boolean {
    return this.#running === undefined;
  }

  /** Resolves when what is under way now has ended. */
  async settled(): Promise<void> {
    await this.#running;
  }

  push(item: PumpItem): void {
    this.#items.push(item);
    this.#running ??= this.#run();
  }

  /** Gives up waiting between attempts: the consumer closes for good. */
  stop(): void {
    this.#items = [];
    this.#backoff.stop();
  }

  async #run(): Promise<void> {
    // What is pushed within this tick goes along: the followers of a failed message.
    await Promise.resolve();
    try {
      while (this.#items.length > 0) {
        const batch = this.#nextBatch();
        try {
          await this.#apply(batch);
          this.#backoff.reset();
          this.#worked();
        } catch (error) {
          this.#failed(error);
          if (this.#backoff.stopped) return;
          this.#items = [...batch, ...this.#items];
          await this.#backoff.wait();
        }
      }
    } finally {
      // In the same step as the last look at what is left: cleared a tick later, what is given in
      // between would lie here until something else is given.
      this.#running = undefined;
    }
  }

  #nextBatch(): PumpItem[] {
    if (this.#items[0]?.kind === 'barrier') return this.#items.splice(0, 1);
    const barrier = this.#items.findIndex((item) => item.kind === 'barrier');
    return this.#items.splice(0, Math.min(barrier < 0 ? Infinity : barrier, 1_000));
  }

  async #apply(batch: PumpItem[]): Promise<void> {
    const completes: Extract<PumpItem, { kind: 'complete' }>[] = [];
    const leases = new Map<number, SlotLease>();
    const told: Extract<PumpItem, { kind: 'change' }>[] = [];
    for (const item of batch) {
      if (item.kind === 'barrier') return item.run();
      if (item.kind === 'complete') {
        completes.push(item);
      } else if (this.#holds(item.lease)) {
        leases.set(item.lease.slot, item.lease);
        told.push(item);
      } else {
        item.done('lost_lease');
      }
    }
    if (completes.length > 0) {
      await this.#store.complete(completes.map((item) => item.place));
      // Its answer is used at once: a change that fails after it repeats the batch, harmlessly.
      for (const item of completes) item.done();
    }
    if (told.length === 0) return;
    await this.#beforeChange();
    const outcomes = await this.#store.change(
      this.#incarnation,
      [...leases.values()],
      told.map((item) => item.change),
    );
    told.forEach((item, at) => item.done(outcomes[at] ?? 'gone'));
  }
}
