import type { Mail, NewMail } from '@sagaz/core';
import { apart, type Queryable, type SchemaName } from '../connection/index.js';
import { UUID } from './uuid.js';

interface MailRow {
  readonly id: string;
  readonly saga_id: string;
  readonly kind: string;
  readonly dedupe_key: string;
  readonly data: string;
}

const COLUMNS = 'm.id, m.saga_id, m.kind, m.dedupe_key, m.data';
/** The most rows that one sweep removes, so that it never holds many locks. */
const SWEEP = 10_000;

/**
 * Stores mail outside of a transaction. If some of it is refused, the rest is stored all the same, and
 * then the first refusal is thrown. Mail for an id that no saga can have is dropped, as mail for a saga
 * that does not exist is after a while.
 */
export async function putMailApart(
  on: Queryable,
  schema: SchemaName,
  mail: readonly NewMail[],
): Promise<void> {
  const refusals = await apart<NewMail, { readonly error: unknown } | null>(
    mail,
    async (part) => {
      await putMail(on, schema, part);
      return [];
    },
    (_, error) => ({ error }),
  );
  for (const refusal of refusals) if (refusal !== null) throw refusal.error;
}

/**
 * Stores mail without locking a saga row. Rows are inserted in one order, so that two writers of the
 * same mail cannot deadlock. Mail that is stored already is kept.
 */
export async function putMail(
  on: Queryable,
  schema: SchemaName,
  given: readonly NewMail[],
): Promise<void> {
  const mail = given.filter(({ sagaId }) => UUID.test(sagaId));
  if (mail.length === 0) return;
  await on.query({
    text: `INSERT INTO ${schema.quoted}.saga_mail (saga_id, kind, dedupe_key, data)
      SELECT m.saga_id, m.kind, m.dedupe_key, m.data
      FROM unnest($1::uuid[], $2::text[], $3::text[], $4::text[])
        WITH ORDINALITY AS m (saga_id, kind, dedupe_key, data, place)
      ORDER BY m.saga_id, m.dedupe_key, m.place
      ON CONFLICT (saga_id, dedupe_key) DO NOTHING`,
    values: [
      mail.map(({ sagaId }) => sagaId),
      mail.map(({ kind }) => kind),
      mail.map(({ dedupeKey }) => dedupeKey),
      mail.map(({ data }) => data),
    ],
  });
}

/** Reads the mail of sagas, in the order in which it came. */
export async function readMail(
  on: Queryable,
  schema: SchemaName,
  ids: readonly string[],
): Promise<ReadonlyMap<string, readonly Mail[]>> {
  const { rows } = await on.query<MailRow>({
    text: `SELECT ${COLUMNS} FROM ${schema.quoted}.saga_mail m WHERE m.saga_id = ANY ($1::uuid[]) ORDER BY m.id`,
    values: [ids],
  });
  const bySaga = new Map<string, Mail[]>();
  for (const row of rows) {
    const list = bySaga.get(row.saga_id);
    if (list === undefined) bySaga.set(row.saga_id, [mailOf(row)]);
    else list.push(mailOf(row));
  }
  return bySaga;
}

export async function readMailOfOwned(
  on: Queryable,
  schema: SchemaName,
  incarnation: string,
): Promise<readonly Mail[]> {
  const { rows } = await on.query<MailRow>({
    text: `SELECT ${COLUMNS} FROM ${schema.quoted}.saga_mail m
      JOIN ${schema.quoted}.saga s ON s.id = m.saga_id
      WHERE s.owner = $1 ORDER BY m.id`,
    values: [incarnation],
  });
  return rows.map(mailOf);
}

/**
 * Removes mail that no saga will read: mail of ended sagas, except about late effects, which wake the
 * saga; and old mail for sagas that do not exist. Such mail is kept for a time, because the transaction
 * that starts a saga may commit after the one that stores mail for it.
 */
export async function dropDeadMail(
  on: Queryable,
  schema: SchemaName,
  orphanAgeMs: number,
): Promise<number> {
  const { rowCount } = await on.query({
    text: `DELETE FROM ${schema.quoted}.saga_mail WHERE id IN (
        SELECT m.id FROM ${schema.quoted}.saga_mail m
        LEFT JOIN ${schema.quoted}.saga s ON s.id = m.saga_id
        LEFT JOIN ${schema.quoted}.saga_ended e ON e.id = m.saga_id
        WHERE s.id IS NULL AND CASE WHEN e.id IS NULL
          THEN m.created_at < statement_timestamp() - $1::float8 * interval '1 millisecond'
          ELSE m.kind <> 'late' END
        LIMIT ${String(SWEEP)} FOR UPDATE OF m SKIP LOCKED
      )`,
    values: [orphanAgeMs],
  });
  return rowCount ?? 0;
}

function mailOf(row: MailRow): Mail {
  return {
    id: row.id,
    sagaId: row.saga_id,
    kind: row.kind,
    dedupeKey: row.dedupe_key,
    data: row.data,
  };
}
