import type { KeyName, ReadRequest } from '../../ports/index.js';
import type { Floors } from './floors.js';
import type { KeyBook } from './key-book.js';

/** How many more rows of a slot than it may return a read looks at while topics are left out. */
const WALK_ROWS = 50;
/**
 * How many rows of a slot a read past its busy keys looks at. For 100,000 small rows PostgreSQL takes
 * about a twentieth of a second.
 */
const PAST_ROWS = 100_000;

/** A read of slots from their floors on, without what is in memory, and with room in memory for all it returns. */
export function readRequest(from: {
  readonly slots: readonly number[];
  readonly floors: Floors;
  readonly book: KeyBook;
  readonly perSlot: number;
  readonly limit: number;
  /** Topics that are left out. */
  readonly topics: readonly string[];
  /** The busy keys past which it reads, by a long way; undefined: none. */
  readonly past: readonly KeyName[] | undefined;
}): ReadRequest {
  const { slots, floors, book, perSlot, limit, topics, past } = from;
  const within = past === undefined ? perSlot + WALK_ROWS : PAST_ROWS;
  return {
    windows: slots.map((slot) => ({ slot, floor: floors.of(slot) })),
    inFlight: [...book.rows.keys()],
    perSlot,
    limit,
    bytes: Math.max(1, book.roomBytes),
    ...(past === undefined && topics.length === 0
      ? {}
      : { passingOver: { keys: past ?? [], topics, within } }),
  };
}
