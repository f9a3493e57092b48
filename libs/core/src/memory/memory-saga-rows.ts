import {
  isFinal,
  type Clock,
  type NewSaga,
  type RunnableSaga,
  type SagaFilter,
  type SagaHeader,
  type SagaStatus,
  type SagaSummary,
  type SagaTransition,
  type TransitionOutcome,
} from '../ports/index.js';
import { MemoryTable } from './memory-table.js';

/** The row of a saga, with the values that queries and claims use. */
export interface SagaRow {
  readonly id: string;
  readonly tenant: string;
  readonly name: string;
  readonly version: number;
  readonly format: number;
  readonly key: string | null;
  readonly inputDigest: string;
  readonly status: SagaStatus;
  readonly revision: number;
  readonly owner: string | null;
  readonly epoch: number;
  /** When the saga is due, by the clock of the store; null if only mail makes it due. */
  readonly wakeAt: number | null;
  readonly deadlineAt: number | null;
  /** The transition that made this revision. */
  readonly transitionId: string;
  readonly createdAt: Date;
  readonly updatedAt: Date;
}

/** The saga table with the two indexes that claiming needs. */
export class SagaRows extends MemoryTable<SagaRow> {
  /** Sagas that have not ended and have no owner. */
  readonly unowned: Set<string>;
  /** Sagas that have not ended, by owner. */
  readonly byOwner: Map<string, Set<string>>;

  constructor() {
    const unowned = new Set<string>();
    const byOwner = new Map<string, Set<string>>();
    super((id, before, after) => {
      if (before !== undefined && before.owner !== null) {
        const owned = byOwner.get(before.owner);
        owned?.delete(id);
        if (owned?.size === 0) byOwner.delete(before.owner);
      }
      unowned.delete(id);
      if (after === undefined || isFinal(after.status)) return;
      if (after.owner === null) {
        unowned.add(id);
        return;
      }
      const owned = byOwner.get(after.owner);
      if (owned === undefined) byOwner.set(after.owner, new Set([id]));
      else owned.add(id);
    });
    this.unowned = unowned;
    this.byOwner = byOwner;
  }

  counts(): ReadonlyMap<SagaStatus, number> {
    const counts = new Map<SagaStatus, number>();
    for (const { status } of this.committed().values()) {
      counts.set(status, (counts.get(status) ?? 0) + 1);
    }
    return counts;
  }

  /** The newest sagas that match. */
  find(filter: SagaFilter, now: number): readonly SagaSummary[] {
    return [...this.committed().values()]
      .filter((row) => matches(row, filter))
      .sort((a, b) => (a.id < b.id ? 1 : -1))
      .slice(0, filter.limit ?? 50)
      .map((row) => summaryOf(row, now));
  }

  /** When the next saga of these definitions without an owner is due; null if none has a time. */
  nextWakeAt(definitions: readonly RunnableSaga[], format: number): number | null {
    let next: number | null = null;
    for (const id of this.unowned) {
      const row = this.get(id);
      if (row === undefined || row.wakeAt === null) continue;
      const { wakeAt } = row;
      if (row.format > format || !isOneOf(row, definitions)) continue;
      if (next === null || wakeAt < next) next = wakeAt;
    }
    return next;
  }
}

/** Whether the saga is one of the definitions. */
export function isOneOf(
  { name, version }: Pick<SagaRow, 'name' | 'version'>,
  definitions: readonly RunnableSaga[],
): boolean {
  return definitions.some((one) => one.name === name && one.versions.includes(version));
}

/** The row of a new saga. */
export function rowOf(saga: NewSaga, clock: Clock): SagaRow {
  const now = clock.now();
  const date = clock.date();
  return {
    id: saga.id,
    tenant: saga.tenant,
    name: saga.name,
    version: saga.version,
    format: saga.format,
    key: saga.key,
    inputDigest: saga.inputDigest,
    status: saga.status,
    revision: 0,
    owner: saga.owner,
    epoch: saga.owner === null ? 0 : 1,
    wakeAt: saga.wakeInMs === null ? null : now + saga.wakeInMs,
    deadlineAt: saga.deadlineInMs === null ? null : now + saga.deadlineInMs,
    transitionId: saga.transitionId,
    createdAt: date,
    updatedAt: date,
  };
}

/** The row after a transition. */
export function movedRow(row: SagaRow, transition: SagaTransition, clock: Clock): SagaRow {
  const { ownership, status, becomes, id: transitionId } = transition;
  const ends = isFinal(status);
  const keeps = ownership.kind === 'keep';
  return {
    ...row,
    version: becomes?.version ?? row.version,
    format: becomes?.format ?? row.format,
    status,
    revision: row.revision + 1,
    owner: keeps && !ends ? row.owner : null,
    wakeAt: keeps || ends || ownership.wakeInMs === null ? null : clock.now() + ownership.wakeInMs,
    transitionId,
    updatedAt: clock.date(),
  };
}

export function headerOf(row: SagaRow, now: number): SagaHeader {
  return {
    id: row.id,
    tenant: row.tenant,
    name: row.name,
    version: row.version,
    format: row.format,
    key: row.key,
    status: row.status,
    revision: row.revision,
    owner: row.owner,
    epoch: row.epoch,
    deadlineInMs: row.deadlineAt === null ? null : row.deadlineAt - now,
  };
}

export function summaryOf(row: SagaRow, now: number): SagaSummary {
  return { ...headerOf(row, now), createdAt: row.createdAt, updatedAt: row.updatedAt };
}

function matches(row: SagaRow, filter: SagaFilter): boolean {
  return (
    (filter.tenant === undefined || row.tenant === filter.tenant) &&
    (filter.name === undefined || row.name === filter.name) &&
    (filter.key === undefined || row.key === filter.key) &&
    (filter.statuses === undefined || filter.statuses.includes(row.status)) &&
    (filter.before === undefined || row.id < filter.before)
  );
}

/** The reason why a transition is refused; null if it is not. */
export function guard(row: SagaRow, transition: SagaTransition): TransitionOutcome | null {
  if (row.owner !== transition.owner || row.epoch !== transition.epoch) {
    return { kind: 'not_owner', owner: row.owner, epoch: row.epoch };
  }
  // With owner and epoch alone, a repeated statement could be applied twice.
  if (row.revision !== transition.revision) return { kind: 'conflict', revision: row.revision };
  return null;
}
