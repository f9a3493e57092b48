import { epochMs } from '../connection/index.js';
import {
  FINAL_STATUSES,
  type FormattedDefinition,
  type SagaHeader,
  type SagaStatus,
  type SagaSummary,
} from '@sagaz/core';

export interface HeaderRow {
  readonly id: string;
  readonly tenant: string;
  readonly definition: number;
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

/** SQL for the statuses with which a saga has ended. */
export const FINAL = `'{${FINAL_STATUSES.join(',')}}'::text[]`;

/** Columns of a saga `s` as {@link headerOf} reads them. */
export const HEADER_COLUMNS = `s.id, s.tenant, s.definition, s.key, s.status, s.revision, s.owner, s.epoch,
  ${epochMs('s.deadline - clock_timestamp()')} AS deadline_in_ms`;

/** Columns of a saga `s` that has not ended, as {@link summaryOf} reads them. */
export const LIVE_SUMMARY = `${HEADER_COLUMNS}, ${epochMs('s.created_at')} AS created_at, ${epochMs('s.updated_at')} AS updated_at`;

/** The same columns of a saga `e` that has ended. */
export const ENDED_SUMMARY = `e.id, e.tenant, e.definition, e.key, e.status, e.revision, NULL::uuid AS owner, e.epoch,
  ${epochMs('e.deadline - clock_timestamp()')} AS deadline_in_ms, ${epochMs('e.created_at')} AS created_at,
  ${epochMs('e.ended_at')} AS updated_at`;

export function headerOf(
  row: HeaderRow,
  { name, version, format }: FormattedDefinition,
): SagaHeader {
  return {
    id: row.id,
    tenant: row.tenant,
    name,
    version,
    format,
    key: row.key,
    status: row.status,
    revision: row.revision,
    owner: row.owner,
    epoch: row.epoch,
    deadlineInMs: row.deadline_in_ms,
  };
}

export function summaryOf(row: SummaryRow, definition: FormattedDefinition): SagaSummary {
  return {
    ...headerOf(row, definition),
    createdAt: new Date(row.created_at),
    updatedAt: new Date(row.updated_at),
  };
}
