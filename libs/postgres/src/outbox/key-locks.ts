import { placeOfKey, type OutboxMessage } from '@sagaz/core';

/**
 * Beyond this many keys a transaction locks whole slots. PostgreSQL's lock table is of a fixed size and
 * shared by all transactions of the server: 20,000 keys of one transaction fill it, and then statements
 * of all transactions fail.
 */
export const KEYS_LOCKED_ONE_BY_ONE = 64;

/** The lock spaces of slots and of keys, as in the function outbox_lock. */
export const LOCK_SPACE = { slots: 1396786497, keys: 1396786498 } as const;

/** The properties of a message that determine its place. */
type Placed = Pick<OutboxMessage, 'tenant' | 'topic' | 'key' | 'ordered' | 'delayMs'>;

/** The locks of messages, in the order in which they are taken. */
interface KeyLocks {
  readonly slots: readonly number[];
  readonly keys: readonly number[];
  readonly exclusively: boolean;
}

/**
 * The locks that put messages in order. All transactions take slots ascending and then keys
 * ascending, each once, so that no two can wait for each other.
 */
export function keyLocks(messages: readonly Placed[]): KeyLocks {
  const slots = new Set<number>();
  const keys = new Set<number>();
  for (const message of messages) {
    // A delayed message takes its place in its key when it is due.
    if (!message.ordered || message.delayMs > 0) continue;
    const place = placeOfKey(message.tenant, message.topic, message.key);
    slots.add(place.slot);
    keys.add(place.lock);
  }
  const exclusively = keys.size > KEYS_LOCKED_ONE_BY_ONE;
  return {
    slots: [...slots].sort(ascending),
    keys: exclusively ? [] : [...keys].sort(ascending),
    exclusively,
  };
}

/** A lock as a row of a statement: which of its subjects it is for, its two numbers, and its mode. */
export interface KeyLockRow {
  readonly place: number;
  readonly space: number;
  readonly number: number;
  readonly shared: boolean;
}

/** The locks of one subject's messages, in the order in which every transaction takes them. */
export function keyLockRows(place: number, messages: readonly Placed[]): KeyLockRow[] {
  const { slots, keys, exclusively } = keyLocks(messages);
  return [
    ...slots.map((number) => ({
      place,
      space: LOCK_SPACE.slots,
      number,
      shared: !exclusively,
    })),
    ...keys.map((number) => ({ place, space: LOCK_SPACE.keys, number, shared: false })),
  ];
}

/** One array per column of {@link keyLockSource}. */
export function keyLockValues(rows: readonly KeyLockRow[]): unknown[] {
  return [
    rows.map(({ place }) => place),
    rows.map(({ space }) => space),
    rows.map(({ number }) => number),
    rows.map(({ shared }) => shared),
  ];
}

/** The rows of locks as the row source `k`, in their order. @param first number of the first parameter */
export function keyLockSource(first: number): string {
  const arrays = ['int[]', 'int[]', 'int[]', 'bool[]'].map(
    (type, at) => `$${String(first + at)}::${type}`,
  );
  return `unnest(${arrays.join(', ')}) AS k (place, space, number, shared)`;
}

/** SQL that takes the lock of the row `k`; false if another transaction has it. */
export const TRY_KEY_LOCK = `CASE WHEN k.shared THEN pg_try_advisory_xact_lock_shared(k.space, k.number)
      ELSE pg_try_advisory_xact_lock(k.space, k.number) END`;

/** SQL that waits for the lock of the row `k`, at most for `lock_timeout`. */
export const TAKE_KEY_LOCK = `CASE WHEN k.shared
      THEN CASE WHEN pg_advisory_xact_lock_shared(k.space, k.number) IS NOT NULL THEN 1 END
      ELSE CASE WHEN pg_advisory_xact_lock(k.space, k.number) IS NOT NULL THEN 1 END END`;

function ascending(a: number, b: number): number {
  return a - b;
}
