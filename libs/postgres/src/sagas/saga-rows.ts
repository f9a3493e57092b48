import { epochMs } from '../connection/index.js';
import type { SagaHeader, SagaStatus, SagaSummary } from '@sagaz/core';

export interface HeaderRow {
  readonly id: string;
  readonly tenant: string;
  readonly name: string;
  readonly version: number;
  readonly key: string | null;
  readonly status: SagaStatus;
  readonly revision: number;
  readonly owner: string | null;
  readonly epoch: number;
  readonly deadline_in_ms: number | null;
}

export interface SummaryRow extends HeaderRow {
  readonly created_at: number;
  readonly updated_at: number;
}

/** Columns of a saga `s` as {@link headerOf} reads them. */
export const HEADER_COLUMNS = `s.id, s.tenant, s.name, s.version, s.key, s.status, s.revision, s.owner, s.epoch,
  ${epochMs('s.deadline - clock_timestamp()')} AS deadline_in_ms`;

export function headerOf(row: HeaderRow): SagaHeader {
  return {
    id: row.id,
    tenant: row.tenant,
    name: row.name,
    version: row.version,
    key: row.key,
    status: row.status,
    revision: row.revision,
    owner: row.owner,
    epoch: row.epoch,
    deadlineInMs: row.deadline_in_ms,
  };
}

export function summaryOf(row: SummaryRow): SagaSummary {
  return {
    ...headerOf(row),
    createdAt: new Date(row.created_at),
    updatedAt: new Date(row.updated_at),
  };
}
