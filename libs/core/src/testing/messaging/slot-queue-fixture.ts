import assert from 'node:assert/strict';
import type {
  OutboxMessage,
  Place,
  QueuedMessage,
  ReadRequest,
  SlotLease,
  SlotQueueStore,
  Transaction,
  Transactions,
} from '../../ports/index.js';
import { freshName } from '../contract-case.js';

/** Locks rows in a transaction, as a person or a program beside Sagaz may, until it ends. */
export interface RowLocks {
  readonly lockRow: (place: Place, transaction: Transaction) => Promise<void>;
  /** Locks the lease row of a slot. */
  readonly lockLease: (slot: number, transaction: Transaction) => Promise<void>;
}

/** A slot queue that is empty and whose slots nobody owns. */
export interface SlotQueueFixture extends RowLocks {
  readonly queue: SlotQueueStore;
  /** The queue as another process has it. */
  readonly newQueue: () => Promise<SlotQueueStore>;
  /** Writes messages; with a transaction they belong to it. */
  readonly add: (messages: readonly OutboxMessage[], transaction?: Transaction) => Promise<void>;
  readonly transactions: Transactions;
  /** Lets so many milliseconds of the store's clock pass. */
  readonly pass: (ms: number) => Promise<void>;
}

export const LONG_MS = 60_000;

/** An owner of all slots. */
export interface Owner {
  readonly incarnation: string;
  readonly leases: readonly SlotLease[];
}

/** Joins and takes every slot that is free. */
export async function own(queue: SlotQueueStore, ttlMs = LONG_MS): Promise<Owner> {
  const incarnation = freshName('incarnation');
  await queue.join(incarnation, ttlMs);
  const leases = await queue.acquire(incarnation, ttlMs, queue.slots);
  return { incarnation, leases };
}

/** More than any case writes. */
export const ANY_BYTES = 2 ** 40;

/** Reads everything that is pending, from the start. */
export async function readAll(
  queue: SlotQueueStore,
  given: Partial<ReadRequest> = {},
): Promise<readonly QueuedMessage[]> {
  const { rows } = await queue.read({
    windows: Array.from({ length: queue.slots }, (_, slot) => ({ slot, floor: '0' })),
    inFlight: [],
    perSlot: 1_000,
    limit: 10_000,
    bytes: ANY_BYTES,
    ...given,
  });
  return rows;
}

/** The row with that body; fails when it is not among them. */
export function rowOf(rows: readonly QueuedMessage[], text: string): QueuedMessage {
  const found = rows.find((row) => new TextDecoder().decode(row.message.payload) === text);
  assert.ok(found, `A row with the body "${text}" should be among the ${rows.length} rows.`);
  return found;
}

export function bodiesOf(rows: readonly QueuedMessage[], key?: string): string[] {
  return rows
    .filter((row) => key === undefined || row.message.key === key)
    .map((row) => new TextDecoder().decode(row.message.payload));
}

/** A promise that a test settles itself. */
export function deferred(): { readonly promise: Promise<void>; readonly resolve: () => void } {
  let resolve: () => void = () => undefined;
  const promise = new Promise<void>((settle) => {
    resolve = settle;
  });
  return { promise, resolve };
}

/** Waits a few real milliseconds: to stagger a race, never to be sure of anything. */
export function stagger(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

/** A transaction that is open until its `commit` is called. */
export interface OpenTransaction {
  readonly add: (messages: readonly OutboxMessage[]) => Promise<void>;
  readonly commit: () => Promise<void>;
}

/**
 * Runs the body while a transaction that has written is open. It is committed at the end at the
 * latest, however the body ends: one left open by a case that fails would hold back those that
 * follow, whose failures then say nothing.
 */
export async function whileOpen(
  fixture: Pick<SlotQueueFixture, 'add' | 'transactions'>,
  messages: readonly OutboxMessage[],
  body: (open: OpenTransaction) => Promise<void>,
): Promise<void> {
  const written = deferred();
  const gate = deferred();
  let add: OpenTransaction['add'] = () => Promise.reject(new TypeError('Nothing is open yet.'));
  const done = fixture.transactions.run(async (transaction) => {
    add = (more) => fixture.add(more, transaction);
    await add(messages);
    written.resolve();
    await gate.promise;
  });
  await Promise.race([written.promise, done]);
  const commit = (): Promise<void> => {
    gate.resolve();
    return done;
  };
  try {
    await body({ add: (more) => add(more), commit });
  } catch (error) {
    await commit().catch(() => {});
    throw error;
  }
  await commit();
}

/** Runs the body while another transaction has locked rows of messages, or lease rows of slots. */
export async function whileLocked(
  fixture: RowLocks & { readonly transactions: Transactions },
  what: { readonly rows?: readonly Place[]; readonly leases?: readonly number[] },
  body: () => Promise<void>,
): Promise<void> {
  const locked = deferred();
  const gate = deferred();
  const done = fixture.transactions.run(async (transaction) => {
    for (const place of what.rows ?? []) await fixture.lockRow(place, transaction);
    for (const slot of what.leases ?? []) await fixture.lockLease(slot, transaction);
    locked.resolve();
    await gate.promise;
  });
  await Promise.race([locked.promise, done]);
  try {
    await body();
  } finally {
    gate.resolve();
    await done;
  }
}
