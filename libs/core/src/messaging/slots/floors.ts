import type { FloorProbe } from '../../ports/index.js';
import { compareSeq, minSeq } from './seq.js';

interface Floor {
  value: string;
  /** Rises when the floor is lowered, so that a read that began before cannot raise it. */
  generation: number;
}

/** The floors of some slots as they stood when a read began. */
export type FloorMark = ReadonlyMap<number, number>;

/**
 * Where reading begins in each slot. A floor skips the dead index entries of what was removed, and
 * must never skip a message that was numbered early and commits late. So it is raised only to a
 * number that was drawn before a transaction id X, by a read whose snapshot has `xmin > X`: every
 * writer that could have drawn a lower number has ended and is seen by that snapshot. A slot's floor
 * belongs to one lease: it is forgotten with it.
 */
export class Floors {
  readonly #floors = new Map<number, Floor>();
  /** The oldest probe still waiting for its snapshot, and the newest. */
  #probes: FloorProbe[] = [];
  #generation = 0;
  /** The newest number that was proven to be settled. */
  #proven: string | null = null;
  /** Floors that lie behind rows which are left out, and that are lowered with these. */
  readonly behind: Floors | null;

  constructor(behind: Floors | null = null) {
    this.behind = behind;
  }

  of(slot: number): string {
    return this.#floors.get(slot)?.value ?? '0';
  }

  mark(slots: readonly number[]): FloorMark {
    const marks = new Map<number, number>();
    for (const slot of slots) marks.set(slot, this.#floors.get(slot)?.generation ?? 0);
    return marks;
  }

  addProbe(probe: FloorProbe): void {
    // The oldest is the first that a long transaction lets through; between it and the newest
    // nothing is gained.
    if (this.#probes.length < 2) this.#probes.push(probe);
    else this.#probes[1] = probe;
    this.behind?.addProbe(probe);
  }

  /** The newest number that this snapshot, with its `xmin`, or an earlier one proves to be settled; null: none. */
  proven(snapshotXmin: string): string | null {
    const xmin = BigInt(snapshotXmin);
    this.#probes = this.#probes.filter((probe) => {
      if (xmin <= BigInt(probe.xid)) return true;
      if (this.#proven === null || compareSeq(probe.last, this.#proven) > 0) {
        this.#proven = probe.last;
      }
      return false;
    });
    return this.#proven;
  }

  /**
   * Raises a slot's floor to `to`, unless it was lowered since the read began. `to` must be at most
   * what is proven, what the read showed of the slot, and what was left lying there.
   */
  raise(slot: number, to: string, mark: FloorMark): void {
    const floor = this.#floors.get(slot);
    if ((floor?.generation ?? 0) !== mark.get(slot)) return;
    if (floor === undefined) this.#floors.set(slot, { value: to, generation: 0 });
    else if (compareSeq(to, floor.value) > 0) floor.value = to;
  }

  /** Rows with old numbers are pending again. */
  lower(slot: number, to: string): void {
    this.#generation += 1;
    this.#floors.set(slot, { value: minSeq(this.of(slot), to), generation: this.#generation });
    this.behind?.lower(slot, to);
  }

  reset(slot: number): void {
    this.lower(slot, '0');
  }

  /** After an error of the store: the connection may be another, to a server that knows less. */
  resetAll(): void {
    for (const slot of this.#floors.keys()) this.reset(slot);
    this.#probes = [];
    this.#proven = null;
    this.behind?.resetAll();
  }

  /** Drops the second floors, so that the rows that were left out are read again. */
  forgetBehind(): void {
    if (this.behind === null) return;
    for (const slot of this.behind.#floors.keys()) this.behind.reset(slot);
  }
}
