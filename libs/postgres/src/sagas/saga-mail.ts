import type { Mail, NewMail } from '@sagaz/core';
import { apart, type Queryable, type SchemaName } from '../connection/index.js';
import type { Definitions } from './definitions.js';
import { UUID } from './uuid.js';

export interface MailRow {
  readonly id: string;
  readonly saga_id: string;
  readonly kind: string;
  readonly dedupe_key: string;
  readonly data: string;
  readonly format: number;
}

const COLUMNS = 'm.id, m.saga_id, m.kind, m.dedupe_key, m.data, m.format';
/**
 * Stores mail outside of a transaction. If some of it is refused, the rest is stored all the same, and
 * then the first refusal is thrown. Mail for an id that no saga can have is dropped, as mail for a saga
 * that does not exist is after a while.
 */
export async function putMailApart(
  on: Queryable,
  schema: SchemaName,
  definitions: Definitions,
  mail: readonly NewMail[],
): Promise<void> {
  const refusals = await apart<NewMail, { readonly error: unknown } | null>(
    mail,
    async (part) => {
      await putMail(on, schema, definitions, part);
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
  definitions: Definitions,
  given: readonly NewMail[],
): Promise<void> {
  const mail = given.filter(({ sagaId }) => UUID.test(sagaId));
  if (mail.length === 0) return;
  const numberOf = await definitions.known(
    mail.flatMap(({ definition }) => definition ?? []),
    on,
  );
  await on.query({
    text: `INSERT INTO ${schema.quoted}.saga_mail (${NEW_COLUMNS})
      SELECT m.saga_id, m.kind, m.dedupe_key, m.data, m.definition, m.format
      FROM unnest($1::uuid[], $2::text[], $3::text[], $4::text[], $5::int[], $6::smallint[])
        WITH ORDINALITY AS m (${NEW_COLUMNS}, place)
      ORDER BY m.saga_id, m.dedupe_key, m.place
      ON CONFLICT (saga_id, dedupe_key) DO NOTHING`,
    values: mailArrays(mail, numberOf),
  });
}

/** The columns of new mail. */
export const NEW_COLUMNS = 'saga_id, kind, dedupe_key, data, definition, format';

/** The values of {@link NEW_COLUMNS}, as arrays. @param numberOf the number of a definition, 0 for none */
export function mailArrays(
  mail: readonly NewMail[],
  numberOf: (definition: NewMail['definition']) => number,
): unknown[] {
  return [
    mail.map(({ sagaId }) => sagaId),
    mail.map(({ kind }) => kind),
    mail.map(({ dedupeKey }) => dedupeKey),
    mail.map(({ data }) => data),
    mail.map(({ definition }) => numberOf(definition)),
    mail.map(({ format = 1 }) => format),
  ];
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

export function mailOf(row: MailRow): Mail {
  return {
    id: row.id,
    sagaId: row.saga_id,
    kind: row.kind,
    dedupeKey: row.dedupe_key,
    data: row.data,
    format: row.format,
  };
}
