import type { UnservedSagas } from '@sagaz/core';
import { epochMs, type Queryable, type SchemaName } from '../connection/index.js';
import { ownersOf } from './saga-owners.js';

interface UnservedRow {
  readonly name: string;
  readonly version: number;
  readonly format: number;
  readonly count: number;
  readonly more: boolean;
  readonly oldest_ms: number;
  readonly example: string;
}

/**
 * Finds due sagas of definitions that no living engine has registered, by the three ways in which a
 * claim finds sagas. Each way reads along an index, from the saga that has waited longest up to the
 * limit, and only of those definitions.
 *
 * The row of an engine that crashed stays until another engine declares it dead. Where all engines have
 * crashed nobody does, so an engine without a heartbeat for long does not count as living here.
 */
export async function findUnserved(
  on: Queryable,
  schemaName: SchemaName,
  { olderThanMs, limit }: { readonly olderThanMs: number; readonly limit: number },
): Promise<readonly UnservedSagas[]> {
  const schema = schemaName.quoted;
  const { rows } = await on.query<UnservedRow>({
    text: `WITH RECURSIVE ${ownersOf(schema)}, living AS MATERIALIZED (
        SELECT e.incarnation, e.runs, e.format FROM ${schema}.engine e
        WHERE e.beat_at >= statement_timestamp() - (e.ttl_ms + $1::float8) * interval '1 millisecond'
      ), dead (owner) AS MATERIALIZED (
        SELECT o.owner FROM owners o
        WHERE o.owner IS NOT NULL AND NOT EXISTS (SELECT FROM living l WHERE l.incarnation = o.owner)
      ), limits AS MATERIALIZED (
        SELECT statement_timestamp() - $1::float8 * interval '1 millisecond' AS before
      ), unserved AS MATERIALIZED (
        SELECT d.number, d.name, d.version, d.format FROM ${schema}.definition d
        WHERE NOT EXISTS (
          SELECT FROM living l
          WHERE l.format >= d.format AND l.runs @> jsonb_build_object(d.name, jsonb_build_array(d.version))
        )
      ), due AS MATERIALIZED (
        SELECT o.id, o.definition, o.since FROM unserved u CROSS JOIN LATERAL (
          SELECT s.id, s.definition, s.wake_at AS since FROM ${schema}.saga s
          WHERE s.definition = u.number AND s.owner IS NULL AND s.wake_at <= (SELECT before FROM limits)
          ORDER BY s.wake_at LIMIT $2
        ) o
      ), letters AS MATERIALIZED (
        SELECT o.* FROM (SELECT number FROM unserved UNION ALL SELECT 0) AS u CROSS JOIN LATERAL (
          SELECT m.saga_id, m.kind, m.created_at FROM ${schema}.saga_mail m
          WHERE m.definition = u.number ORDER BY m.xact, m.id LIMIT $2
        ) o
      ), mailed AS MATERIALIZED (
        SELECT s.id, s.definition, l.created_at AS since
        FROM letters l JOIN ${schema}.saga s ON s.id = l.saga_id
        WHERE s.owner IS NULL AND l.created_at <= (SELECT before FROM limits)
        UNION ALL
        SELECT e.id, e.definition, l.created_at
        FROM letters l JOIN ${schema}.saga_ended e ON e.id = l.saga_id
        WHERE l.kind = 'late' AND l.created_at <= (SELECT before FROM limits)
      ), orphaned AS MATERIALIZED (
        SELECT o.id, o.definition, o.since FROM dead d CROSS JOIN unserved u CROSS JOIN LATERAL (
          SELECT s.id, s.definition, s.updated_at AS since FROM ${schema}.saga s
          WHERE s.owner >= d.owner AND s.owner <= d.owner AND s.definition = u.number
          ORDER BY s.owner, s.definition, s.id LIMIT $2
        ) o
        WHERE o.since <= (SELECT before FROM limits)
      ), found AS (
        SELECT * FROM due UNION ALL SELECT * FROM mailed UNION ALL SELECT * FROM orphaned
      )
      SELECT u.name, u.version, u.format, least(count(DISTINCT f.id), $2)::int AS count,
        count(DISTINCT f.id) >= $2 OR (SELECT count(*) FROM letters) >= $2 AS more,
        ${epochMs('clock_timestamp() - min(f.since)')} AS oldest_ms,
        min(f.id::text) AS example
      FROM found f JOIN unserved u ON u.number = f.definition
      GROUP BY u.name, u.version, u.format
      ORDER BY u.name, u.version, u.format`,
    values: [olderThanMs, limit],
  });
  return rows.map(({ oldest_ms: oldestMs, ...row }) => ({ ...row, oldestMs }));
}
