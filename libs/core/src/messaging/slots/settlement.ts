import { errorText } from '../../errors/index.js';
import type { Place } from '../../ports/index.js';
import type { ChangePump, SettledChange } from './change-pump.js';
import type { CompletionPump } from './completion-pump.js';
import type { Floors } from './floors.js';
import type { HeldLease } from './held-lease.js';
import type { KeyBook } from './key-book.js';
import type { KeyLine } from './key-line.js';
import { seqBefore } from './seq.js';
import type { RowOutcome, TakenRow } from './slot-work.js';

/** How long a row waits that is behind one which this process does not know of, in milliseconds. */
const BEHIND_MS = 200;

/** Calls to the consumer around the settlement. */
export interface SettlementEvents {
  /** A row has left memory; `removed` tells that it was done. */
  ended(taken: TakenRow, removed: boolean): void;
  /** A retry is due after this time, in milliseconds. */
  dueIn(ms: number): void;
  /** Rows are pending again and must be read. */
  readAgain(): void;
  lostLease(): void;
  /** A slot may have no row in work any more. */
  drained(): void;
  /** The rows that hold back keys of a slot have to be read; `then` is called when they are known. */
  reload(lease: HeldLease, then: () => void): void;
}

/** Writes the outcomes of rows to the store, and lets the next rows of their keys go on. */
export class Settlement {
  readonly #book: KeyBook;
  readonly #changes: ChangePump;
  readonly #completions: CompletionPump;
  readonly #floors: Floors;
  readonly #leaseOf: (slot: number) => HeldLease | undefined;
  readonly #events: SettlementEvents;

  constructor(options: {
    readonly book: KeyBook;
    readonly changes: ChangePump;
    readonly completions: CompletionPump;
    readonly floors: Floors;
    readonly leaseOf: (slot: number) => HeldLease | undefined;
    readonly events: SettlementEvents;
  }) {
    this.#book = options.book;
    this.#changes = options.changes;
    this.#completions = options.completions;
    this.#floors = options.floors;
    this.#leaseOf = options.leaseOf;
    this.#events = options.events;
  }

  settle(taken: TakenRow, outcome: RowOutcome): void {
    taken.state = 'ending';
    switch (outcome.kind) {
      case 'complete':
        this.#complete(taken);
        return;
      case 'ended':
        this.#ended(taken, outcome.blocks && taken.row.ordered);
        return;
      case 'behind':
        this.#behind(taken, outcome.error);
        return;
      case 'again':
        this.#again(taken);
        return;
      case 'retry':
        this.#retry(taken, outcome);
        return;
      case 'dead_letter':
        this.#deadLetter(taken, outcome);
        return;
    }
  }

  /**
   * The work on a row goes on after its time limit: the store gets it as a retry, and this process
   * keeps it in memory until the work ends.
   */
  overdue(taken: TakenRow, retry: { readonly delayMs: number; readonly error: unknown }): void {
    if (taken.lost) {
      this.#book.markOverdue(taken);
      this.#events.drained();
      return;
    }
    this.#changes.push({
      kind: 'change',
      line: taken.line,
      lease: taken.lease,
      change: {
        kind: 'retry',
        place: placeOf(taken),
        delayMs: retry.delayMs,
        counts: true,
        error: errorText(retry.error),
      },
      done: (outcome) => {
        if (outcome === 'changed') this.#book.markOverdue(taken);
        if (outcome === 'lost_lease') this.#events.lostLease();
        this.#events.drained();
      },
    });
  }

  /** Sets a row to `held`, because an earlier row holds back its key. */
  hold(taken: TakenRow): void {
    taken.line.hasHeld = true;
    this.#changes.push({
      kind: 'change',
      line: taken.line,
      lease: taken.lease,
      change: { kind: 'hold', place: placeOf(taken) },
      done: (outcome) => {
        if (outcome === 'lost_lease') this.#events.lostLease();
        this.#end(taken);
      },
    });
  }

  /** Sets the held rows of a key to pending, because no row holds back the key any more. */
  release(line: KeyLine, below: string): void {
    const lease = this.#leaseOf(line.key.slot);
    if (lease === undefined) return;
    const lowest = line.takeLowestGone(below);
    line.releasing = true;
    line.hasHeld = false;
    this.#changes.push({
      kind: 'change',
      line,
      lease,
      change: { kind: 'release', key: line.key },
      done: (outcome) => {
        if (outcome === 'lost_lease') {
          // The loss of the slot ends this release. Another one may have begun since the slot was
          // gained again.
          this.#events.lostLease();
          return;
        }
        line.releasing = false;
        line.freeFromRead = this.#book.readsBegun + 1;
        // The rows keep their old numbers, which may be below the floor.
        this.#floors.lower(line.key.slot, lowest);
        this.#book.resume(line);
        this.#events.readAgain();
      },
    });
  }

  #complete(taken: TakenRow): void {
    const { line } = taken;
    taken.state = 'done';
    line.working -= 1;
    line.former.delete(taken);
    const wasHead = line.removeHead(taken.row.seq);
    if (!wasHead || line.heads.size > 0 || !line.hasHeld) {
      this.#completions.add(taken);
      this.#book.resume(line);
      return;
    }
    // The head is removed first and its followers become pending after that. In the other order, a
    // crash in between would leave the followers pending beside a head that is still to be retried.
    this.#changes.push({
      kind: 'complete',
      line,
      place: placeOf(taken),
      done: () => this.#end(taken, true),
    });
    this.release(line, taken.row.seq);
  }

  #ended(taken: TakenRow, blocks: boolean): void {
    const { line, row } = taken;
    line.working -= 1;
    line.former.delete(taken);
    if (blocks && !taken.lost) {
      line.heads.set(row.seq, { confirmed: true });
      this.#holdFollowers(line);
    } else if (line.removeHead(row.seq) && line.heads.size === 0 && line.hasHeld) {
      this.release(line, row.seq);
    }
    this.#end(taken, true);
    this.#book.resume(line);
  }

  /** The line stays busy until it is known what holds it back. */
  #behind(taken: TakenRow, error: unknown): void {
    this.#events.reload(taken.lease, () => {
      if (taken.lost || taken.line.holdsBack(taken.row.seq)) this.#again(taken);
      // Nothing is known to hold it: the row before it has not been read yet, or is gone by now.
      else this.#retry(taken, { kind: 'retry', delayMs: BEHIND_MS, counts: false, error });
    });
  }

  #again(taken: TakenRow): void {
    const { line } = taken;
    line.working -= 1;
    if (taken.lost) {
      this.#end(taken);
      this.#book.resume(line);
    } else if (line.holdsBack(taken.row.seq)) {
      this.hold(taken);
    } else {
      this.#book.enter(taken);
    }
  }

  #retry(taken: TakenRow, outcome: Extract<RowOutcome, { kind: 'retry' }>): void {
    const { line, row } = taken;
    line.working -= 1;
    if (taken.lost) {
      this.#end(taken);
      this.#book.resume(line);
      return;
    }
    if (row.ordered) line.heads.set(row.seq, { confirmed: false });
    this.#changes.push({
      kind: 'change',
      line: taken.line,
      lease: taken.lease,
      change: {
        kind: 'retry',
        place: placeOf(taken),
        delayMs: outcome.delayMs,
        counts: outcome.counts,
        error: outcome.error === null ? null : errorText(outcome.error),
      },
      done: (answer) => this.#retried(taken, outcome.delayMs, answer),
    });
    if (row.ordered) this.#holdFollowers(line);
    this.#book.resume(line);
  }

  #retried(taken: TakenRow, delayMs: number, answer: SettledChange): void {
    const { line, row } = taken;
    const head = line.heads.get(row.seq);
    if (answer === 'changed') {
      if (head !== undefined) head.confirmed = true;
      this.#events.dueIn(delayMs);
    } else if (answer === 'lost_lease') {
      this.#events.lostLease();
    } else if (head !== undefined) {
      // The row was changed by another process or an operator, so its key is free.
      this.#headGone(line, row.seq);
    }
    this.#end(taken);
  }

  #deadLetter(taken: TakenRow, outcome: Extract<RowOutcome, { kind: 'dead_letter' }>): void {
    const { line, row } = taken;
    if (taken.lost) {
      line.working -= 1;
      this.#end(taken);
      this.#book.resume(line);
      return;
    }
    // The line stays busy until the answer: while another process could still work on this message,
    // the next one must not be sent.
    this.#changes.push({
      kind: 'change',
      line: taken.line,
      lease: taken.lease,
      change: {
        kind: 'dead_letter',
        place: placeOf(taken),
        counts: outcome.counts,
        error: errorText(outcome.error),
        reason: outcome.reason,
        block: outcome.block && row.ordered,
        ...(outcome.mail === undefined ? {} : { mail: outcome.mail }),
      },
      done: (answer) => {
        line.working -= 1;
        if (answer === 'changed') outcome.landed?.();
        if (answer === 'lost_lease') this.#events.lostLease();
        else if (answer === 'changed' && outcome.block && row.ordered) {
          line.heads.set(row.seq, { confirmed: true });
          this.#holdFollowers(line);
        } else if (line.heads.has(row.seq)) {
          this.#headGone(line, row.seq);
        }
        this.#end(taken);
        this.#book.resume(line);
      },
    });
  }

  #headGone(line: KeyLine, seq: string): void {
    line.removeHead(seq);
    if (line.heads.size === 0 && line.hasHeld) this.release(line, seq);
    else this.#book.resume(line);
  }

  #holdFollowers(line: KeyLine): void {
    for (const follower of this.#book.takeFollowers(line)) this.hold(follower);
  }

  #end(taken: TakenRow, removed = false): void {
    if (taken.lost && !removed) {
      this.#floors.lower(taken.row.slot, seqBefore(this.#book.leftUndone(taken)));
      this.#events.readAgain();
    }
    this.#book.forget(taken);
    this.#events.ended(taken, removed);
  }
}

function placeOf(taken: TakenRow): Place {
  return { slot: taken.row.slot, seq: taken.row.seq };
}
