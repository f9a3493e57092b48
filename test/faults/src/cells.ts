import type { Fault } from './scenario.js';

/** The promises of Sagaz that the death of a process could break. */
export const PROMISES = {
  1: 'a started saga ends',
  2: 'local effects happen exactly once',
  3: 'external effects happen at least once, with one idempotency key',
  4: 'a message is published if and only if its transaction commits, with one id',
  5: 'messages of a key arrive in the order in which their transactions took it',
  6: 'the effects of a handler happen exactly once',
} as const;
export type KillPromise = keyof typeof PROMISES;

/**
 * The promises that could break when a process is killed at a point, because work is half done there.
 */
export interface KillCell extends Omit<Fault, 'action'> {
  readonly promises: readonly KillPromise[];
  /** As in the scenario, for the process that dies. */
  readonly retryMs?: number;
}

/**
 * Each promise of each row is a test: a process dies at the point, and another one continues. A
 * subject or a number in a row names the occurrence of the point at which the most work is half done.
 */
export const KILL_CELLS: readonly KillCell[] = [
  { point: 'start.before-commit', nth: 2, promises: [1, 2] },
  { point: 'start.after-commit', nth: 2, promises: [1, 2, 3] },
  { point: 'claim.after-commit', promises: [1, 2] },

  { point: 'step.before-invoke', subject: 'accept', nth: 2, promises: [1, 2, 4] },
  { point: 'step.before-invoke', subject: 'charge', nth: 2, promises: [1, 3] },
  { point: 'step.after-invoke', subject: 'accept', nth: 2, promises: [1, 2, 4] },
  { point: 'step.after-invoke', subject: 'charge', nth: 2, promises: [1, 3] },
  { point: 'step.before-commit', subject: 'accept', promises: [1, 2, 4] },
  // The sixth is the first compensation.
  { point: 'step.before-commit', subject: 'accept', nth: 6, promises: [1, 2, 4] },
  { point: 'step.after-commit', subject: 'accept', promises: [1, 2, 4] },
  { point: 'step.after-commit', subject: 'confirm', promises: [1, 2, 4] },
  { point: 'transition.before-flush', nth: 3, promises: [1, 3, 6] },
  { point: 'transition.after-flush', nth: 3, promises: [1, 3, 6] },
  { point: 'compensation.before-invoke', subject: 'charge', promises: [1, 3] },
  { point: 'compensation.before-invoke', subject: 'accept', promises: [1, 2] },
  { point: 'compensation.after-invoke', subject: 'charge', promises: [1, 3] },
  { point: 'compensation.after-invoke', subject: 'accept', promises: [1, 2] },
  { point: 'compensation.after-invoke', subject: 'reserve', promises: [1, 6] },

  { point: 'outbox.before-append', subject: 'note.taken', nth: 5, promises: [4, 5] },
  { point: 'outbox.before-append', subject: 'order.confirm', promises: [1, 2, 4] },
  { point: 'outbox.before-append', subject: 'sagaz.reply', promises: [1, 4, 6] },
  { point: 'outbox.after-append', subject: 'note.taken', nth: 5, promises: [4, 5] },
  { point: 'outbox.after-append', subject: 'order.confirm', promises: [1, 2, 4] },
  { point: 'outbox.after-append', subject: 'sagaz.reply', promises: [1, 4, 6] },

  { point: 'relay.before-publish', nth: 3, promises: [1, 4, 5] },
  { point: 'relay.after-publish', nth: 3, promises: [1, 4, 5, 6] },
  { point: 'relay.before-complete', nth: 2, promises: [1, 4, 5, 6] },
  { point: 'relay.after-complete', nth: 2, promises: [1, 4, 5] },
  // Behind a refused message, its followers not set aside yet. It is due only when the next process
  // works in its slot: what that process does not know holds nothing back.
  { point: 'relay.before-change', nth: 2, retryMs: 4_000, promises: [4, 5] },

  { point: 'queue.before-handle', nth: 3, promises: [1, 5, 6] },
  { point: 'queue.after-handle', nth: 3, promises: [1, 5, 6] },
  { point: 'queue.before-complete', nth: 3, promises: [1, 5, 6] },

  { point: 'inbox.after-claim', nth: 2, promises: [1, 6] },
  { point: 'inbox.after-handler', nth: 2, promises: [1, 6] },
  { point: 'inbox.before-commit', nth: 2, promises: [1, 4, 6] },
  { point: 'inbox.after-commit', nth: 2, promises: [1, 4, 6] },
];

export interface ZombieCell extends Omit<Fault, 'action'> {
  /**
   * The concurrency is low, so that the frozen process holds only the locks of the work in which it is
   * frozen.
   */
  readonly orders: readonly string[];
  readonly notes: number;
  /**
   * A message is refused for good, so its row still exists and the frozen process can try to change
   * it.
   */
  readonly refuse?: boolean;
  /** The heir waits for locks of the frozen process, which is therefore woken while the heir works. */
  readonly holdsLocks?: boolean;
}

/**
 * A process is frozen at a point, loses its leases, and is woken: what it writes then must have no
 * effect.
 */
export const ZOMBIE_CELLS: readonly ZombieCell[] = [
  { point: 'claim.after-commit', orders: ['late-1'], notes: 0 },
  { point: 'step.after-invoke', subject: 'charge', orders: ['good-1'], notes: 0 },
  {
    point: 'step.before-commit',
    subject: 'confirm',
    orders: ['good-1'],
    notes: 0,
    holdsLocks: true,
  },
  { point: 'transition.before-flush', nth: 2, orders: ['good-1'], notes: 0 },
  { point: 'compensation.after-invoke', subject: 'charge', orders: ['bad-1'], notes: 0 },
  { point: 'relay.before-publish', nth: 2, orders: [], notes: 6 },
  { point: 'relay.before-complete', nth: 2, orders: [], notes: 6 },
  { point: 'relay.before-change', orders: [], notes: 6, refuse: true },
  // The first: another one could be frozen while its neighbour is inside of a transaction.
  { point: 'queue.before-handle', orders: ['good-1'], notes: 0 },
];
