import type { Logger } from '../../ports/index.js';
import type { ChangePump, SettledChange } from './change-pump.js';
import type { HeldLease } from './held-lease.js';
import type { SlotStates } from './slot-states.js';

const LONGEST_DELAY_MS = 60_000;

interface Owed {
  readonly lease: HeldLease;
  readonly seq: string;
  /** Whether the attempt is being counted. */
  counting: boolean;
  /** Whether the store has answered that the message waits. */
  written: boolean;
}

/**
 * The messages whose numbers were noted when the owners of their slots were taken for dead. Such a
 * message waits, longer with each crash, and an attempt is counted only when it is about to be worked on
 * again. An owner that was only stopped or cut off takes the crash back in the meantime: then the message
 * goes on at once, and nothing is counted against it.
 */
export class CrashBlame {
  readonly #name: string;
  readonly #logger: Logger;
  readonly #changes: ChangePump;
  readonly #states: SlotStates;
  readonly #look: () => void;
  readonly #owed = new Map<number, Owed>();
  /** The messages that were owed an attempt when this process lost their slots, until it gains them again. */
  readonly #unpaid = new Map<number, Owed>();

  constructor(options: {
    readonly name: string;
    readonly logger: Logger;
    readonly changes: ChangePump;
    readonly states: SlotStates;
    /** Called when there may be rows to read, and rows that are due. */
    readonly look: () => void;
  }) {
    this.#name = options.name;
    this.#logger = options.logger;
    this.#changes = options.changes;
    this.#states = options.states;
    this.#look = options.look;
  }

  /**
   * A slot was gained. Returns the number of the message that its last owner had noted when it died,
   * which waits from now on; null: there is none.
   *
   * @param regained - whether no other process had the slot since this one lost it
   * @param written - called when the store has the message as one that waits and holds back its key
   */
  gained(lease: HeldLease, regained: boolean, written: () => void): string | null {
    const unpaid = this.#unpaid.get(lease.slot);
    this.#unpaid.delete(lease.slot);
    const seq = lease.suspect;
    // If the slot was only lost for a while, this process itself may have noted the number.
    if (seq === null || (regained && !isStillOwed(unpaid, lease))) return null;
    if (!regained) {
      this.#logger.warn('A message was being worked on when its process died, again.', {
        consumer: this.#name,
        slot: lease.slot,
        seq,
        crashes: lease.crashes,
      });
    }
    const owed: Owed = { lease, seq, counting: false, written: false };
    this.#owed.set(lease.slot, owed);
    const delayMs = Math.min(1_000 * 2 ** Math.min(lease.crashes, 6), LONGEST_DELAY_MS);
    this.#put(owed, delayMs, false, () => {
      owed.written = true;
      written();
    });
    return seq;
  }

  /**
   * Whether the message of a slot does not wait yet in the store, which refuses that at the moment. The
   * keys that are held back can be told only afterwards.
   */
  isUnwritten(slot: number): boolean {
    return this.#owed.get(slot)?.written === false;
  }

  /** Whether a message has to wait because an attempt must be counted first, which begins now. */
  counts({ slot, seq }: { readonly slot: number; readonly seq: string }): boolean {
    const owed = this.#owed.get(slot);
    if (owed?.seq !== seq) return false;
    if (!owed.counting) {
      owed.counting = true;
      this.#put(owed, 0, true, (outcome) => {
        if (outcome === 'changed') this.#paid(owed);
        else owed.counting = false;
        this.#look();
      });
    }
    return true;
  }

  /**
   * Takes the leases as the store has them now. If it counts fewer crashes, the last owner lives and
   * has no message of the slot in work, so no message stopped it.
   */
  renewed(leases: readonly HeldLease[]): void {
    for (const lease of leases) {
      if (!this.#states.relieve(lease)) continue;
      this.#look();
      const owed = this.#owed.get(lease.slot);
      if (owed === undefined || owed.counting) continue;
      this.#paid(owed);
      this.#put(owed, 0, false, () => this.#look());
    }
  }

  /**
   * The slot was lost. If nobody else takes it, its message must still be counted when it is gained
   * again: otherwise a message could stop any number of processes that lose their leases in between.
   */
  lost(slot: number): void {
    const owed = this.#owed.get(slot);
    if (owed === undefined) return;
    this.#owed.delete(slot);
    this.#unpaid.set(slot, owed);
  }

  #paid(owed: Owed): void {
    for (const debts of [this.#owed, this.#unpaid]) {
      if (debts.get(owed.lease.slot) === owed) debts.delete(owed.lease.slot);
    }
  }

  #put(owed: Owed, delayMs: number, counts: boolean, done: (outcome: SettledChange) => void): void {
    const { lease, seq } = owed;
    this.#changes.push({
      kind: 'change',
      lease,
      change: {
        kind: 'retry',
        place: { slot: lease.slot, seq },
        delayMs,
        counts,
        error: 'The process that worked on it died.',
        // It may have been noted and then moved aside behind another message of its key.
        onlyFirst: true,
      },
      done: (outcome) => {
        if (outcome === 'gone') {
          this.#paid(owed);
          this.#states.forgive(lease.slot);
        }
        done(outcome);
      },
    });
  }
}

/**
 * Whether a message still has to be counted although its slot was lost for a while: under the same
 * epoch, with no crash taken back, and not if an attempt may have been counted without an answer.
 */
function isStillOwed(unpaid: Owed | undefined, { epoch, crashes, suspect }: HeldLease): boolean {
  if (unpaid === undefined || unpaid.counting || unpaid.seq !== suspect) return false;
  return unpaid.lease.epoch === epoch && unpaid.lease.crashes <= crashes;
}
