import { MemoryOutboxStore } from '../../memory/index.js';
import type { Place, SlotChange, SlotChangeOutcome, SlotLease } from '../../ports/index.js';

/** Names a locked row as removed. */
export class ForgetsLockedRows extends MemoryOutboxStore {
  override async complete(places: readonly Place[]): Promise<readonly Place[]> {
    await super.complete(places);
    return [];
  }
}

/** Waits until the lock of a row is free. */
export class WaitsForRows extends MemoryOutboxStore {
  override async complete(places: readonly Place[]): Promise<readonly Place[]> {
    const left = await super.complete(places);
    if (left.length === 0) return left;
    const waited = this.transactions.run(async (transaction) => {
      for (const place of left) await this.lockRow(place, transaction);
    });
    const stood = await Promise.race([waited, new Promise((wake) => setTimeout(wake, 20, true))]);
    if (stood === true) throw new Error('It still waits for the lock.');
    return this.complete(left);
  }
}

/** Releases the held rows of a key that are free, and leaves a locked one behind. */
export class ReleasesPartOfAKey extends MemoryOutboxStore {
  override async change(
    incarnation: string,
    leases: readonly SlotLease[],
    changes: readonly SlotChange[],
  ): Promise<readonly SlotChangeOutcome[]> {
    const outcomes = await super.change(incarnation, leases, changes);
    if (!changes.some(({ kind }) => kind === 'release')) return outcomes;
    await this.transactions.within(undefined, (transaction) => {
      for (const row of this.rows.committed(({ status }) => status === 'held')) {
        if (!transaction.tryLock(`row:${row.seq}`)) continue;
        this.rows.table.set(row.seq, { ...row, status: 'pending' }, transaction);
      }
    });
    return outcomes;
  }
}

/** Takes a lease that it could not renew for lost. */
export class LosesLockedLeases extends MemoryOutboxStore {
  override async renew(incarnation: string, ttlMs: number) {
    return { ...(await super.renew(incarnation, ttlMs)), busy: [] };
  }
}
