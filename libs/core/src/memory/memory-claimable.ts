import { isFinal } from '../ports/index.js';
import type { EnginesHeard } from './memory-engine-registry.js';
import type { MemorySagaMail } from './memory-saga-mail.js';
import type { SagaRow, SagaRows } from './memory-saga-rows.js';

/** The tables that say which sagas can be claimed. */
export interface ClaimedFrom {
  readonly rows: SagaRows;
  readonly mail: MemorySagaMail;
}

export interface ClaimableLook {
  readonly now: number;
  readonly engines: Pick<EnginesHeard, 'lives'>;
  /** The sagas whose mail counts; null: that of all. */
  readonly mailed: ReadonlySet<string> | null;
  /** The highest format of mail that counts. Default: any. */
  readonly format?: number;
}

/** Ids of due sagas without an owner, then of sagas whose owner is not a living engine. */
export function* claimable(
  { rows, mail }: ClaimedFrom,
  { now, engines, mailed, format }: ClaimableLook,
): Generator<string> {
  const hasMail = (id: string): boolean => mailed?.has(id) !== false && mail.has(id, format);
  for (const id of [...rows.unowned]) {
    const row = rows.get(id);
    if (row === undefined) continue;
    if ((row.wakeAt !== null && row.wakeAt <= now) || hasMail(id)) yield id;
  }
  for (const [owner, ids] of [...rows.byOwner]) {
    if (!engines.lives(owner)) yield* [...ids];
  }
  for (const { id, owner } of lateAfterEnd({ rows, mail })) {
    const late = hasMail(id) && mail.hasLate(id, format);
    if (owner === null ? late : !engines.lives(owner)) yield id;
  }
}

/** Whether a saga has not ended, or an effect was reported after its end. */
export function isOpen({ mail }: ClaimedFrom, row: SagaRow): boolean {
  return !isFinal(row.status) || mail.hasLate(row.id);
}

/** Sagas that have ended and for which a late effect was reported. */
export function lateAfterEnd({ rows, mail }: ClaimedFrom): SagaRow[] {
  return [...mail.sagas()]
    .flatMap((id) => rows.get(id) ?? [])
    .filter((row) => isFinal(row.status) && mail.hasLate(row.id));
}
