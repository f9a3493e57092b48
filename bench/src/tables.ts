// All that the bench knows about the tables of the product, besides what a store's own methods do: how rows
// that were written by the product are multiplied, so that a million of them are there within a minute.
import type pg from 'pg';

/** The table in which messages wait, the columns that say where, and those that the database fills itself. */
export const OUTBOX = {
  table: 'message',
  place: ['queue', 'lane', 'slot', 'seq'],
  own: ['seq'],
} as const;
/** Tables with one row for a saga, whose id is its id; every other table of sagas has a column `saga_id`. */
const SAGAS: readonly string[] = ['saga', 'saga_ended'];

/** Sets aside what waits in the outbox, as rows that {@link refill} brings back. */
export async function setAside(client: pg.ClientBase): Promise<void> {
  await client.query(`DROP TABLE IF EXISTS set_aside;
    CREATE TABLE set_aside AS TABLE sagaz.${OUTBOX.table};
    DELETE FROM sagaz.${OUTBOX.table}`);
}

/** Writes the rows that were set aside so many times, all in one commit, as if they were new. */
export async function refill(client: pg.ClientBase, times = 1): Promise<void> {
  const columns = await columnsOf(client, OUTBOX.table, OUTBOX.own);
  await client.query(
    `INSERT INTO sagaz.${OUTBOX.table} (${columns.join(', ')})
     SELECT ${columns.map((column) => `w.${column}`).join(', ')}
       FROM set_aside w CROSS JOIN generate_series(1, $1)`,
    [times],
  );
}

/** Copies sagas with everything that belongs to them, so many times each, under new ids. */
export async function multiplySagas(
  client: pg.ClientBase,
  ids: readonly string[],
  times: number,
): Promise<void> {
  await client.query('DROP TABLE IF EXISTS copied');
  // UUIDs of version 7, of the milliseconds before now: in the order in which sagas are started.
  await client.query(
    `CREATE TEMPORARY TABLE copied AS
     SELECT t.id AS original, (
       lpad(to_hex((extract(epoch FROM clock_timestamp()) * 1000)::bigint - n), 12, '0')
       || '7' || substr(md5(t.id::text || n), 1, 3) || '8' || substr(md5(n || t.id::text), 1, 15)
     )::uuid AS id
       FROM unnest($1::uuid[]) AS t (id) CROSS JOIN generate_series(1, $2::integer) AS n`,
    [ids, times],
  );
  await client.query('ANALYZE copied');
  const { rows } = await client.query<{ name: string; id: string }>(
    `SELECT c.table_name AS name, c.column_name AS id
       FROM information_schema.columns c
       JOIN information_schema.tables t USING (table_schema, table_name)
      WHERE c.table_schema = 'sagaz' AND t.table_type = 'BASE TABLE'
        AND (c.column_name = 'saga_id' OR (c.column_name = 'id' AND c.table_name = ANY ($1)))`,
    [SAGAS],
  );
  for (const { name, id } of rows) {
    const columns = await columnsOf(client, name, [id]);
    await client.query(
      `INSERT INTO sagaz.${name} (${[id, ...columns].join(', ')})
       SELECT ${['c.id', ...columns.map((column) => `o.${column}`)].join(', ')}
         FROM copied c JOIN sagaz.${name} o ON o.${id} = c.original`,
    );
  }
}

/** The columns of a table without some, and without those that the database fills for each row anew. */
async function columnsOf(
  client: pg.ClientBase,
  table: string,
  without: readonly string[],
): Promise<readonly string[]> {
  const { rows } = await client.query<{ name: string }>(
    `SELECT quote_ident(column_name) AS name FROM information_schema.columns
      WHERE table_schema = 'sagaz' AND table_name = $1 AND column_name <> ALL ($2)
        AND is_identity = 'NO' AND is_generated = 'NEVER' AND data_type <> 'xid8'
      ORDER BY ordinal_position`,
    [table, without],
  );
  if (rows.length === 0) throw new Error(`There is no table sagaz.${table}.`);
  return rows.map(({ name }) => name);
}
