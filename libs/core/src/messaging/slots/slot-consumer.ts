import { newNonce } from '../../ids.js';
import { noFaults, type Clock, type FaultPoint } from '../../ports/index.js';
import { ChangePump } from './change-pump.js';
import { checkSlotSettings } from './check-slot-settings.js';
import { CompletionPump } from './completion-pump.js';
import { consumerProblem } from './consumer-problem.js';
import { CrashBlame } from './crash-blame.js';
import { CrashSuspect } from './crash-suspect.js';
import { DueRows } from './due-rows.js';
import { Floors } from './floors.js';
import type { HeldLease } from './held-lease.js';
import { KeyBook } from './key-book.js';
import { LeaseKeeper } from './lease-keeper.js';
import { DEFAULT_SLOT_SETTINGS, type SlotSettings } from './settings.js';
import { Settlement } from './settlement.js';
import type { SlotObserver } from './slot-observer.js';
import { Progress } from './progress.js';
import { SlotReader } from './slot-reader.js';
import { RowSource } from './row-source.js';
import type { SlotConsumerOptions } from './slot-consumer-options.js';
import { SlotEntry } from './slot-entry.js';
import { slotsOfHint } from './slot-hints.js';
import { SlotStates } from './slot-states.js';
import { reportStuckRow } from './stuck-rows.js';
import { StoreTroubles, type StoreUse } from './store-troubles.js';
import type { SlotWork, TakenRow } from './slot-work.js';
import { TopicsAway } from './topics-away.js';

/**
 * Works on a queue that is cut into slots, as one of any number of processes: it leases a fair share of
 * the slots, reads their rows in order, gives them to its work, and writes the outcomes to the store.
 * Rows of one key are worked on one after the other; a row that fails holds back only its key.
 */
export class SlotConsumer {
  readonly #name: string;
  readonly #clock: Clock;
  readonly #work: SlotWork;
  readonly #settings: SlotSettings;
  readonly #observer: SlotObserver;
  readonly #wake: SlotConsumerOptions['wake'];
  readonly #book: KeyBook;
  readonly #floors = new Floors(new Floors());
  readonly #away: TopicsAway;
  readonly #leases: LeaseKeeper;
  readonly #states: SlotStates;
  readonly #changes: ChangePump;
  readonly #completions: CompletionPump;
  readonly #settlement: Settlement;
  readonly #source: RowSource;
  readonly #reader: SlotReader;
  readonly #due: DueRows;
  readonly #entry: SlotEntry;
  readonly #blame: CrashBlame;
  readonly #troubles: StoreTroubles;
  /** How many rows are done and cannot be removed; the next owner of their slots repeats them. */
  readonly stuck = (): number => this.#completions.stuck;
  #unsubscribe: (() => void) | undefined;
  readonly #progress: Progress;
  #started = false;
  #closed: Promise<void> | undefined;
  #idle: (() => void) | undefined;

  constructor(options: SlotConsumerOptions) {
    const { store, clock } = options;
    const settings = { ...DEFAULT_SLOT_SETTINGS, ...options.settings };
    checkSlotSettings(options.name, settings);
    const faults = options.faults ?? noFaults;
    const points = options.points ?? { beforeComplete: 'queue.before-complete' };
    const reach = (point?: FaultPoint) => point && faults.reach(point, options.name);
    this.#name = options.name;
    this.#clock = clock;
    this.#work = options.work;
    this.#book = new KeyBook(Math.ceil(options.work.buffer / 2));
    this.#settings = settings;
    this.#observer = options.observer ?? {};
    this.#wake = options.wake;
    this.#progress = new Progress(clock, settings.stallAfterMs, options.work, this.#book);
    const incarnation = options.incarnation ?? newNonce();
    const failed =
      (use: StoreUse) =>
      (error: unknown): number => {
        // The next answer may come from another server, which may lack what this one had committed.
        this.#floors.resetAll();
        this.#observer.storeFailed?.(error);
        return this.#troubles.failed(use, error);
      };
    this.#troubles = new StoreTroubles({
      name: options.name,
      clock,
      logger: options.logger,
      firstMs: settings.leaseTtlMs / 10,
    });
    this.#states = new SlotStates(store, clock, incarnation, settings, {
      failed: failed('suspect'),
      cleared: (lease) => {
        this.#troubles.worked('suspect');
        this.#leases.cleared(lease);
      },
    });
    this.#leases = new LeaseKeeper({
      store,
      clock,
      logger: options.logger,
      incarnation,
      ttlMs: settings.leaseTtlMs,
      events: {
        gained: (leases, regained) => {
          this.#entry.gained(leases, regained);
          this.#observer.leases?.(this.#leases.size);
        },
        lost: (slots) => this.#lost(slots),
        renewed: (leases) => {
          this.#blame.renewed(leases);
          this.#away.trim();
          this.#work.wake();
          this.#entry.checkHeads();
        },
        worked: () => this.#troubles.worked('lease'),
        changed: (lease) => this.#entry.changed(lease),
        drained: (slot) => this.#book.countOf(slot) === 0,
        alive: () => this.#progress.alive(this.#reader.movedAt, this.#leases.stalled),
        failed: failed('lease'),
      },
    });
    const book = this.#book;
    const holds = (lease: HeldLease): boolean => this.#leases.holds(lease);
    this.#changes = new ChangePump({
      store,
      clock,
      incarnation,
      holds,
      beforeChange: () => reach(points.beforeChange),
      failed: failed('change'),
      worked: () => this.#troubles.worked('change'),
    });
    this.#completions = new CompletionPump({
      store,
      clock,
      reach: (when) => reach(when === 'before' ? points.beforeComplete : points.afterComplete),
      done: (rows) => this.#completed(rows),
      failed: failed('complete'),
      worked: () => this.#troubles.worked('complete'),
      setAside: (taken) => {
        this.#book.setAside(taken);
        this.#drained();
      },
      stuck: reportStuckRow(options.name, options.logger),
      drained: () => this.#reader.makeRoom(),
    });
    this.#settlement = new Settlement({
      book: this.#book,
      changes: this.#changes,
      completions: this.#completions,
      floors: this.#floors,
      leaseOf: (slot) => this.#leases.lease(slot),
      events: {
        ended: (taken, removed) => this.#ended(taken, removed),
        dueIn: (ms) => this.#due.in(ms),
        readAgain: () => this.#reader.hint(),
        lostLease: () => this.#leases.doubt(),
        drained: () => this.#drained(),
        reload: (lease, then) => this.#entry.reload(lease, then),
      },
    });
    this.#away = new TopicsAway({
      book: this.#book,
      floors: this.#floors,
      keep: Math.ceil(options.work.buffer / 2),
      keeps: (slot) => this.#leases.keeps(slot),
      dropped: () => this.#drained(),
      returned: () => look(),
    });
    this.#source = new RowSource({
      book: this.#book,
      clock,
      leases: this.#leases,
      away: this.#away,
      settle: (taken, outcome) => this.#settlement.settle(taken, outcome),
      overdue: (taken, retry) => this.#settlement.overdue(taken, retry),
      took: () => this.#reader.makeRoom(),
      settled: () => options.work.wake(),
      progressed: () => this.#progress.made(),
    });
    const look = (): void => {
      this.#reader.hint();
      this.#due.in(0);
    };
    this.#blame = new CrashBlame({
      name: options.name,
      logger: options.logger,
      changes: this.#changes,
      states: this.#states,
      look,
    });
    const shared = {
      ...{ store, clock, incarnation, book, settings, away: this.#away, floors: this.#floors },
      ...{ leases: this.#leases, states: this.#states, settlement: this.#settlement },
    };
    this.#reader = new SlotReader({
      ...shared,
      suspect: new CrashSuspect({ store, incarnation, book, blame: this.#blame, holds }),
      buffer: options.work.buffer,
      // Rows read while none can be removed would be worked on again by the slot's next owner.
      mayRead: () =>
        this.#completions.failures < settings.maxFailedCompletions || this.#completions.idle,
      took: () => options.work.wake(),
      failed: failed('read'),
      worked: () => this.#troubles.worked('read'),
      probes: { failed: failed('floor'), worked: () => this.#troubles.worked('floor') },
    });
    this.#due = new DueRows({
      ...shared,
      reader: this.#reader,
      leases: () => this.#leases.kept(this.#states.slots()),
      holds,
      pollMs: settings.pollIntervalMs,
      took: () => options.work.wake(),
      failed: failed('due'),
      worked: () => this.#troubles.worked('due'),
    });
    this.#entry = new SlotEntry({
      ...shared,
      blame: this.#blame,
      changes: this.#changes,
      entered: look,
    });
    options.work.attach(this.#source);
  }

  /** Joins the other processes and works in the background; while the store is away, it tries again. */
  async start(): Promise<void> {
    if (this.#started) return;
    this.#started = true;
    this.#progress.made();
    if (this.#wake !== undefined) {
      const { wakeUps, channel } = this.#wake;
      this.#unsubscribe = wakeUps.on(channel, (detail) => {
        const slots = slotsOfHint(detail);
        this.#reader.hint(slots);
        return slots?.every((slot) => this.#leases.keeps(slot)) === true;
      });
    }
    this.#leases.start();
    this.#reader.start();
    this.#due.start();
  }

  /** Notes a hint that rows were written. */
  wake(): void {
    this.#reader.hint();
  }

  /** The number of slots that it holds now. */
  leases(): number {
    return this.#leases.size;
  }

  /** The problem and its remedy, for readiness; null while it works. */
  problem(): string | null {
    if (this.#closed !== undefined) return `${this.#name} is closed.`;
    return consumerProblem({
      name: this.#name,
      settings: this.#settings,
      completions: this.#completions,
      leases: this.#leases,
      work: this.#work,
      troubles: this.#troubles,
    });
  }

  /** Takes no more rows, waits at most `withinMs` for those in work, then gives back idle slots. */
  close(withinMs: number): Promise<void> {
    return (this.#closed ??= this.#close(withinMs));
  }

  async #close(withinMs: number): Promise<void> {
    this.#unsubscribe?.();
    this.#work.stop();
    this.#leases.close();
    const within = new Promise<void>((resolve) => this.#clock.after(withinMs, resolve));
    const drained = (async () => {
      await Promise.all([this.#reader.close(), this.#due.close()]);
      this.#book.dropWaiting();
      this.#book.dropOverdue();
      while (!this.#isIdle()) {
        if (this.#book.rows.size > 0) {
          await new Promise<void>((resolve) => (this.#idle = resolve));
        }
        await Promise.all([this.#changes.settled(), this.#completions.settled()]);
      }
    })();
    await Promise.race([drained, within]);
    this.#source.abortAll();
    this.#changes.stop();
    this.#completions.stop();
    if (this.#started) await Promise.race([this.#leases.leave(), within]);
  }

  #isIdle(): boolean {
    return this.#book.rows.size === 0 && this.#changes.idle && this.#completions.idle;
  }

  #lost(slots: readonly number[]): void {
    for (const slot of slots) {
      this.#states.lose(slot);
      this.#blame.lost(slot);
      this.#floors.reset(slot);
    }
    const lost = new Set(slots);
    this.#source.abort(lost);
    this.#book.dropSlots(lost);
    this.#checkIdle();
    this.#reader.dropped();
    this.#observer.leases?.(this.#leases.size);
  }

  #completed(rows: readonly TakenRow[]): void {
    for (const taken of rows) {
      this.#book.forget(taken);
      this.#ended(taken, true);
    }
  }

  /** A row does not end soon, so neither its slot nor the next crash suspect waits for it. */
  #drained(): void {
    this.#reader.dropped();
    this.#leases.noteDrained();
  }

  #ended(taken: TakenRow, removed: boolean): void {
    this.#source.ended(taken);
    if (!taken.lost) this.#states.survived(taken.lease, taken.row.seq);
    if (removed) this.#observer.removed?.(taken.row.ageMs);
    this.#reader.left(taken.row.seq);
    if (this.#book.wantsMore(taken.line)) this.#reader.hint([taken.row.slot]);
    this.#leases.noteDrained();
    this.#work.wake();
    if (this.#idle !== undefined) queueMicrotask(() => this.#checkIdle());
  }

  #checkIdle(): void {
    if (this.#book.rows.size === 0) this.#idle?.();
  }
}
