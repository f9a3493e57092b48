import {
  SLOT_COUNT,
  type DueFloor,
  type DueRequest,
  type FloorProbe,
  type HeldKey,
  type PassedTopics,
  type Place,
  type QueuedMessage,
  type QueuedStatus,
  type ReadRequest,
  type ReadResult,
  type RenewedLeases,
  type SlotChange,
  type SlotChangeOutcome,
  type SlotLease,
  type SlotQueueStore,
  type WithoutTopics,
} from '@sagaz/core';
import { limited, LIMITS } from '../connection/index.js';
import { DueReads } from './due-reads.js';
import { LeaseTurns } from './lease-turns.js';
import { SlotChanges, type MailInsert } from './slot-changes.js';
import { SlotLeases } from './slot-leases.js';
import { SlotReads } from './slot-reads.js';
import { SlotRemoval } from './slot-removal.js';
import { SlotNames, type SlotConnection, type SlotTable } from './slot-table.js';

interface QueueParts {
  /**
   * The connection on which leases are taken and renewed. Default: that of the queue. A pool is not enough
   * for a process that consumes: while slow statements use all its connections, the leases would expire.
   */
  readonly leases?: SlotConnection;
  /** Given if dead letters can make mail for sagas in the same database. */
  readonly mailInsert?: MailInsert;
}

/**
 * A queue of slots on PostgreSQL: the outbox, or the messages of a consumer group of the broker. If all
 * goes well, a row is inserted, read and deleted, and nothing is written to claim it.
 */
export class PgSlotQueue implements SlotQueueStore {
  readonly slots = SLOT_COUNT;
  protected readonly names: SlotNames;
  readonly #leases: SlotLeases;
  readonly #reads: SlotReads;
  readonly #due: DueReads;
  readonly #changes: SlotChanges;
  readonly #removal: SlotRemoval;
  readonly #turns = new LeaseTurns();

  constructor(db: SlotConnection, table: SlotTable, { leases = db, mailInsert }: QueueParts = {}) {
    const names = new SlotNames(table);
    this.names = names;
    this.#leases = new SlotLeases({ work: db, leases }, names);
    const work = limited(db, LIMITS.work);
    this.#reads = new SlotReads(work, names, limited(db, LIMITS.count));
    this.#due = new DueReads(work, names);
    this.#changes = new SlotChanges(work, names, mailInsert);
    this.#removal = new SlotRemoval(work, names);
  }

  join(incarnation: string, ttlMs: number): Promise<void> {
    return this.#leases.join(incarnation, ttlMs);
  }

  renew(incarnation: string, ttlMs: number): Promise<RenewedLeases> {
    return this.#turns.renew(() => this.#leases.renew(incarnation, ttlMs));
  }

  acquire(incarnation: string, ttlMs: number, limit: number): Promise<readonly SlotLease[]> {
    return this.#leases.acquire(incarnation, ttlMs, limit);
  }

  release(incarnation: string, slots: readonly number[]): Promise<void> {
    return this.#leases.release(incarnation, slots);
  }

  leave(incarnation: string): Promise<void> {
    return this.#leases.leave(incarnation);
  }

  noteSuspect(incarnation: string, lease: SlotLease, seq: string | null): Promise<boolean> {
    return this.#turns.note(() => this.#leases.noteSuspect(incarnation, lease, seq));
  }

  retractCrashes(lapsed: readonly SlotLease[]): Promise<readonly SlotLease[]> {
    return this.#leases.retractCrashes(lapsed);
  }

  probeFloor(): Promise<FloorProbe> {
    return this.#reads.probeFloor();
  }

  read(request: ReadRequest): Promise<ReadResult> {
    return this.#reads.read(request);
  }

  passTopics(request: Parameters<SlotQueueStore['passTopics']>[0]): Promise<PassedTopics> {
    return this.#reads.passTopics(request);
  }

  heldKeys(incarnation: string, leases: readonly SlotLease[]): Promise<readonly HeldKey[]> {
    return this.#reads.heldKeys(incarnation, leases);
  }

  readDueRetries(
    incarnation: string,
    leases: readonly SlotLease[],
    request: DueRequest,
  ): Promise<readonly QueuedMessage[]> {
    return this.#due.readDueRetries(incarnation, leases, request);
  }

  passDueTopics(slots: readonly number[], without: WithoutTopics): Promise<readonly DueFloor[]> {
    return this.#due.passDueTopics(slots, without);
  }

  /**
   * No message of this queue is delayed or optimistic. A queue with such messages overrides this
   * method.
   */
  promote(_limit: number): Promise<number> {
    return Promise.resolve(0);
  }

  nextDueInMs(slots: readonly number[], without?: WithoutTopics): Promise<number | null> {
    return this.#due.nextDueInMs(slots, without);
  }

  complete(places: readonly Place[]): Promise<readonly Place[]> {
    return this.#removal.remove(places);
  }

  change(
    incarnation: string,
    leases: readonly SlotLease[],
    changes: readonly SlotChange[],
  ): Promise<readonly SlotChangeOutcome[]> {
    return this.#changes.change(incarnation, leases, changes);
  }

  unserved(): Promise<number | null> {
    return this.#reads.unserved();
  }

  stats(): Promise<{
    readonly byStatus: ReadonlyMap<QueuedStatus, number>;
    readonly oldestPendingMs: number | null;
  }> {
    return this.#reads.stats();
  }
}
