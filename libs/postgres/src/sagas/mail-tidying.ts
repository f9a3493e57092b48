import type { DroppedMail } from '@sagaz/core';
import type { Queryable, SchemaName } from '../connection/index.js';

/** The letters that one statement reads, so that it never holds many locks. */
const PAGE = 5_000;
/** Before the first place of the primary key. */
const FIRST = { saga_id: '00000000-0000-0000-0000-000000000000', dedupe_key: '' };

interface PageRow {
  readonly saga_id: string | null;
  readonly dedupe_key: string | null;
  readonly dropped: number;
}

/**
 * Walks over all mail along the primary key, a page in each call, and skips what is locked. After the last page
 * it begins again.
 *
 * It removes mail that no saga will read: mail of ended sagas, except about late effects, which wake the
 * saga; and old mail for sagas that do not exist. Such mail is kept for a time, because the transaction
 * that starts a saga may commit after the one that stores mail for it. Mail of a higher format is left to
 * engines that know what it says.
 *
 * Mail that was written without the definition of its saga, or with a wrong one, gets the right one, and
 * becomes new mail by that: the engines that run the definition find it.
 */
export class MailTidying {
  readonly #on: Queryable;
  readonly #schema: SchemaName;
  #after = FIRST;

  constructor(on: Queryable, schema: SchemaName) {
    this.#on = on;
    this.#schema = schema;
  }

  async page(orphanAgeMs: number, format: number): Promise<DroppedMail> {
    const schema = this.#schema.quoted;
    const { rows } = await this.#on.query<PageRow>({
      text: `WITH page AS MATERIALIZED (
          SELECT m.saga_id, m.dedupe_key, m.kind, m.definition, m.format, m.created_at FROM ${schema}.saga_mail m
          WHERE (m.saga_id, m.dedupe_key) > ($1::uuid, $2::text)
          ORDER BY m.saga_id, m.dedupe_key LIMIT ${String(PAGE)}
        ), known AS MATERIALIZED (
          SELECT p.*, coalesce(s.definition, e.definition) AS its,
            s.definition IS NULL AND p.format <= $4 AND CASE WHEN e.definition IS NULL
              THEN p.created_at < statement_timestamp() - $3::float8 * interval '1 millisecond'
              ELSE p.kind <> 'late' END AS dead
          FROM page p
          LEFT JOIN LATERAL (
            SELECT s.definition FROM ${schema}.saga s WHERE s.id = p.saga_id OFFSET 0
          ) s ON true
          LEFT JOIN LATERAL (
            SELECT e.definition FROM ${schema}.saga_ended e WHERE s.definition IS NULL AND e.id = p.saga_id OFFSET 0
          ) e ON true
        ), changing AS MATERIALIZED (
          SELECT k.saga_id, k.dedupe_key, k.its, k.dead, m.id FROM known k CROSS JOIN LATERAL (
            SELECT m.id FROM ${schema}.saga_mail m
            WHERE m.saga_id = k.saga_id AND m.dedupe_key = k.dedupe_key FOR UPDATE SKIP LOCKED
          ) m
          WHERE k.dead OR k.definition <> k.its
        ), dropped AS (
          DELETE FROM ${schema}.saga_mail m USING changing c
          WHERE m.saga_id = c.saga_id AND m.dedupe_key = c.dedupe_key AND m.id = c.id AND c.dead
          RETURNING 1
        ), addressed AS (
          UPDATE ${schema}.saga_mail m SET definition = c.its, xact = pg_current_xact_id() FROM changing c
          WHERE m.saga_id = c.saga_id AND m.dedupe_key = c.dedupe_key AND m.id = c.id AND NOT c.dead
        )
        SELECT p.saga_id, p.dedupe_key, (SELECT count(*)::int FROM dropped) AS dropped
        FROM (SELECT count(*) AS letters FROM page) AS n
        LEFT JOIN LATERAL (
          SELECT p.saga_id, p.dedupe_key FROM page p WHERE n.letters >= ${String(PAGE)}
          ORDER BY p.saga_id DESC, p.dedupe_key DESC LIMIT 1
        ) p ON true`,
      values: [this.#after.saga_id, this.#after.dedupe_key, orphanAgeMs, format],
    });
    const [row] = rows;
    const { saga_id: sagaId = null, dedupe_key: key = null } = row ?? {};
    const more = sagaId !== null && key !== null;
    this.#after = more ? { saga_id: sagaId, dedupe_key: key } : FIRST;
    return { dropped: row?.dropped ?? 0, more };
  }
}
