import { InboxBusyError, type Applied, type KeptReply, type ParticipantState } from '@sagaz/core';
import { isLockTimeout, type Queryable, type SchemaName } from '../connection/index.js';

interface ParticipantRow {
  readonly undone: boolean;
  readonly reply_type: string | null;
  readonly reply_status: KeptReply['status'] | null;
  readonly reply_content_type: string | null;
  readonly reply: Buffer | null;
}

/** A key as it is asked for, and how long it is remembered. */
export interface ParticipantRequest {
  readonly tenant: string;
  readonly idempotencyKey: string;
  readonly keepMs: number;
  readonly waitMs: number;
}

/** Writes or reads the row of a command; one round trip. Throws `InboxBusyError`. */
export async function beginCommand(
  on: Queryable,
  schema: SchemaName,
  request: ParticipantRequest,
): Promise<ParticipantState> {
  const { rows } = await bounded(request, () =>
    on.query<ParticipantRow>({
      text: `SELECT undone, reply_type, reply_status, reply_content_type, reply
        FROM ${schema.quoted}.participant_begin($1, $2, $3, $4)`,
      values: values(request),
    }),
  );
  return stateOf(rows[0]);
}

/** The row of a key, without a lock. */
export async function lookAtParticipant(
  on: Queryable,
  schema: SchemaName,
  tenant: string,
  idempotencyKey: string,
): Promise<ParticipantState> {
  const { rows } = await on.query<ParticipantRow>({
    text: `SELECT undone, reply_type, reply_status, reply_content_type, reply
      FROM ${schema.quoted}.participant WHERE tenant = $1 AND idempotency_key = $2`,
    values: [tenant, idempotencyKey],
  });
  return stateOf(rows[0]);
}

export async function keepReply(
  on: Queryable,
  schema: SchemaName,
  key: { readonly tenant: string; readonly idempotencyKey: string },
  reply: KeptReply,
): Promise<void> {
  const { payload } = reply;
  await on.query({
    text: `UPDATE ${schema.quoted}.participant
      SET reply_type = $3, reply_status = $4, reply_content_type = $5, reply = $6
      WHERE tenant = $1 AND idempotency_key = $2`,
    values: [
      key.tenant,
      key.idempotencyKey,
      reply.type,
      reply.status,
      reply.contentType,
      Buffer.from(payload.buffer, payload.byteOffset, payload.byteLength),
    ],
  });
}

/** Marks a key undone; one round trip. Throws `InboxBusyError`. */
export async function markUndone(
  on: Queryable,
  schema: SchemaName,
  request: ParticipantRequest,
): Promise<Applied> {
  const { rows } = await bounded(request, () =>
    on.query<{ had_effect: boolean }>({
      text: `SELECT ${schema.quoted}.participant_undo($1, $2, $3, $4) AS had_effect`,
      values: values(request),
    }),
  );
  return rows[0]?.had_effect === true ? 'applied' : 'unknown';
}

function values({ tenant, idempotencyKey, keepMs, waitMs }: ParticipantRequest): unknown[] {
  return [tenant, idempotencyKey, keepMs, Math.ceil(waitMs)];
}

function stateOf(row: ParticipantRow | undefined): ParticipantState {
  if (row === undefined) return { kind: 'first' };
  if (row.undone) return { kind: 'undone' };
  const { reply_type: type, reply_status: status, reply_content_type: contentType, reply } = row;
  if (type === null || status === null || contentType === null || reply === null) {
    return { kind: 'applied', reply: null };
  }
  return { kind: 'applied', reply: { type, status, contentType, payload: reply } };
}

async function bounded<T>(request: ParticipantRequest, statement: () => Promise<T>): Promise<T> {
  try {
    return await statement();
  } catch (error) {
    throw isLockTimeout(error)
      ? InboxBusyError.ofIdempotencyKey(request.idempotencyKey, request.waitMs, error)
      : error;
  }
}
