import { InboxBusyError, type Applied, type KeptReply, type ParticipantState } from '@sagaz/core';
import {
  isLockTimeout,
  Prepared,
  type PgTransaction,
  type Queryable,
  type SchemaName,
} from '../connection/index.js';

interface ParticipantRow {
  readonly undone: boolean;
  readonly reply_type: string | null;
  readonly reply_status: KeptReply['status'] | null;
  readonly reply_content_type: string | null;
  readonly reply: Buffer | null;
}

/** The key of a request, and how long it is remembered. */
export interface ParticipantRequest {
  readonly tenant: string;
  readonly idempotencyKey: string;
  readonly keepMs: number;
  readonly waitMs: number;
}

/** Stores, for each idempotency key, what this service did for a step of a saga. */
export class Participants {
  readonly #begin: Prepared;
  readonly #look: Prepared;
  readonly #keepReply: Prepared;
  readonly #undo: Prepared;

  constructor(schema: SchemaName) {
    const { quoted } = schema;
    const columns = 'undone, reply_type, reply_status, reply_content_type, reply';
    this.#begin = new Prepared(
      `SELECT ${columns} FROM ${quoted}.participant_begin($1, $2, $3, $4)`,
    );
    this.#look = new Prepared(
      `SELECT ${columns} FROM ${quoted}.participant WHERE tenant = $1 AND idempotency_key = $2`,
    );
    this.#keepReply = new Prepared(`UPDATE ${quoted}.participant
      SET reply_type = $3, reply_status = $4, reply_content_type = $5, reply = $6
      WHERE tenant = $1 AND idempotency_key = $2`);
    this.#undo = new Prepared(`SELECT ${quoted}.participant_undo($1, $2, $3, $4) AS had_effect`);
  }

  /** Writes or reads the row of a command; one round trip. @throws InboxBusyError */
  async begin(on: Queryable, request: ParticipantRequest): Promise<ParticipantState> {
    const { rows } = await bounded(request, () =>
      on.query<ParticipantRow>(this.#begin.with(values(request))),
    );
    return stateOf(rows[0]);
  }

  /** Reads the row of a key without locking it. */
  async look(on: Queryable, tenant: string, idempotencyKey: string): Promise<ParticipantState> {
    const { rows } = await on.query<ParticipantRow>(this.#look.with([tenant, idempotencyKey]));
    return stateOf(rows[0]);
  }

  /** As a rule it is sent with COMMIT, and costs no round trip. */
  async keepReply(
    on: PgTransaction,
    key: { readonly tenant: string; readonly idempotencyKey: string },
    { type, status, contentType, payload }: KeptReply,
  ): Promise<void> {
    await on.queryAtCommit(
      this.#keepReply.with([
        key.tenant,
        key.idempotencyKey,
        type,
        status,
        contentType,
        Buffer.from(payload.buffer, payload.byteOffset, payload.byteLength),
      ]),
    );
  }

  /** Marks a key undone; one round trip. @throws InboxBusyError */
  async undo(on: Queryable, request: ParticipantRequest): Promise<Applied> {
    const { rows } = await bounded(request, () =>
      on.query<{ had_effect: boolean }>(this.#undo.with(values(request))),
    );
    return rows[0]?.had_effect === true ? 'applied' : 'unknown';
  }
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
