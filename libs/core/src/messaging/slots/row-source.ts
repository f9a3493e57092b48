import type { Clock } from '../../ports/index.js';
import { SubscriptionClosedError } from '../subscription-closed.error.js';
import type { KeyBook } from './key-book.js';
import type { KeyLine } from './key-line.js';
import type { LeaseKeeper } from './lease-keeper.js';
import type { TopicsAway } from './topics-away.js';
import type { RowOutcome, TakenRow, WorkSource } from './slot-work.js';

/** Gives rows to the work in order, key by key, and never of a slot whose lease may end too soon. */
export class RowSource implements WorkSource {
  readonly #book: KeyBook;
  readonly #clock: Clock;
  readonly #leases: LeaseKeeper;
  readonly #away: TopicsAway;
  readonly #settle: (taken: TakenRow, outcome: RowOutcome) => void;
  readonly overdue: WorkSource['overdue'];
  readonly #took: () => void;
  readonly #settled: () => void;
  readonly progressed: () => void;
  readonly #aborts = new Map<TakenRow, AbortController>();
  /** Paused topics, with the keys that wait for them. */
  readonly #paused = new Map<string, Set<KeyLine>>();

  constructor(options: {
    readonly book: KeyBook;
    readonly clock: Clock;
    readonly leases: LeaseKeeper;
    readonly away: TopicsAway;
    readonly settle: (taken: TakenRow, outcome: RowOutcome) => void;
    readonly overdue: WorkSource['overdue'];
    readonly took: () => void;
    readonly settled: () => void;
    readonly progressed: () => void;
  }) {
    this.#book = options.book;
    this.#clock = options.clock;
    this.#leases = options.leases;
    this.#away = options.away;
    this.#settle = options.settle;
    this.overdue = options.overdue;
    this.#took = options.took;
    this.#settled = options.settled;
    this.progressed = options.progressed;
  }

  take(
    limit: number,
    perKey: number,
    budgetMs: number,
    bytes = Number.POSITIVE_INFINITY,
  ): readonly TakenRow[] {
    const out: TakenRow[] = [];
    const left = { bytes };
    const untrusted: KeyLine[] = [];
    let room = limit;
    while (out.length < room) {
      const line = this.#book.ready.shift();
      if (line === undefined) break;
      if (line.waiting.length === 0 || line.busy) continue;
      const paused = this.#paused.get(line.key.topic);
      if (paused !== undefined) {
        paused.add(line);
        continue;
      }
      if (!this.#leases.trusts(line.key.slot, budgetMs)) {
        untrusted.push(line);
        continue;
      }
      const [first] = line.waiting;
      if ((first?.batchLimit ?? Infinity) <= out.length || !fits(first, out, left.bytes)) {
        // The row does not fit into this batch by number or bytes, so it begins the next one.
        this.#book.ready.unshift(line);
        break;
      }
      room = this.#takeOf(line, perKey, room, out, left);
    }
    for (const line of untrusted) this.#book.ready.push(line);
    if (out.length > 0) this.#took();
    return out;
  }

  /** Takes rows of one line; how many the batch may hold now. */
  #takeOf(
    line: KeyLine,
    perKey: number,
    limit: number,
    out: TakenRow[],
    left: { bytes: number },
  ): number {
    let room = limit;
    let count = 0;
    for (const taken of line.waiting) {
      if (count >= perKey || out.length >= Math.min(room, taken.batchLimit)) break;
      if (!fits(taken, out, left.bytes)) break;
      left.bytes -= taken.row.message.payload.byteLength;
      room = Math.min(room, taken.batchLimit);
      taken.state = 'working';
      out.push(taken);
      count += 1;
    }
    this.#book.begin(line, count);
    return room;
  }

  settle(taken: TakenRow, outcome: RowOutcome): void {
    this.#aborts.delete(taken);
    this.#settle(taken, outcome);
    if (outcome.kind === 'complete') this.#away.took(taken.line.key.topic);
    this.#settled();
  }

  trusts(taken: TakenRow, budgetMs: number): boolean {
    return !taken.lost && this.#leases.trusts(taken.row.slot, budgetMs);
  }

  trustedUntil(taken: TakenRow): number {
    return taken.lost ? -Infinity : this.#leases.trustedUntil(taken.row.slot);
  }

  pauseTopic(topic: string, ms: number): void {
    this.#away.add(topic);
    if (this.#paused.has(topic)) return;
    const lines = new Set<KeyLine>();
    this.#paused.set(topic, lines);
    this.#clock.after(ms, () => {
      this.#paused.delete(topic);
      for (const line of lines) this.#book.resume(line);
      this.#settled();
    });
  }

  stopOf(taken: TakenRow): AbortController {
    let controller = this.#aborts.get(taken);
    if (controller === undefined) {
      controller = new AbortController();
      this.#aborts.set(taken, controller);
      if (taken.lost) controller.abort();
    }
    return controller;
  }

  /** Aborts the work on rows of lost slots. */
  abort(slots: ReadonlySet<number>): void {
    for (const [taken, controller] of this.#aborts) {
      if (slots.has(taken.row.slot)) controller.abort();
    }
  }

  /** Aborts all work, because the consumer closes for good. */
  abortAll(): void {
    const closed = new SubscriptionClosedError();
    for (const controller of this.#aborts.values()) controller.abort(closed);
  }

  ended(taken: TakenRow): void {
    this.#aborts.delete(taken);
  }
}

/**
 * Whether the batch may include this row too. The first row always fits, or it would never be
 * published.
 */
function fits(taken: TakenRow | undefined, out: readonly TakenRow[], bytes: number): boolean {
  return out.length === 0 || (taken?.row.message.payload.byteLength ?? 0) <= bytes;
}
