import type { UnservedSagas } from '@sagaz/core';
import { epochMs, type Queryable, type SchemaName } from '../connection/index.js';
import { open } from './saga-claimer.js';

interface UnservedRow {
  readonly name: string;
  readonly version: number;
  readonly count: number;
  readonly more: boolean;
  readonly oldest_ms: number;
  readonly example: string;
}

/**
 * Finds due sagas of definitions that no living engine has registered, by the three ways in which a
 * claim finds sagas. Each way reads along an index, from the saga that has waited longest up to the
 * limit. Sagas that no engine takes are at the front, because the others are taken.
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
    text: `WITH RECURSIVE owners (owner) AS (
        (SELECT s.owner FROM ${schema}.saga s WHERE s.owner IS NOT NULL ORDER BY s.owner LIMIT 1)
        UNION ALL
        SELECT (SELECT s.owner FROM ${schema}.saga s WHERE s.owner > o.owner ORDER BY s.owner LIMIT 1)
        FROM owners o WHERE o.owner IS NOT NULL
      ), living AS MATERIALIZED (
        SELECT e.incarnation, e.runs FROM ${schema}.engine e
        WHERE e.beat_at >= statement_timestamp() - (e.ttl_ms + $1::float8) * interval '1 millisecond'
      ), dead (owner) AS MATERIALIZED (
        SELECT o.owner FROM owners o
        WHERE o.owner IS NOT NULL AND NOT EXISTS (SELECT FROM living l WHERE l.incarnation = o.owner)
      ), limits AS MATERIALIZED (
        SELECT statement_timestamp() - $1::float8 * interval '1 millisecond' AS before
      ), due AS MATERIALIZED (
        SELECT s.id, s.name, s.version, s.wake_at AS since FROM ${schema}.saga s
        WHERE s.owner IS NULL AND s.wake_at <= (SELECT before FROM limits)
        ORDER BY s.wake_at LIMIT $2
      ), letters AS MATERIALIZED (
        SELECT m.saga_id, m.created_at FROM ${schema}.saga_mail m ORDER BY m.id LIMIT $2
      ), mailed AS MATERIALIZED (
        SELECT s.id, s.name, s.version, l.created_at AS since
        FROM letters l JOIN ${schema}.saga s ON s.id = l.saga_id
        WHERE s.owner IS NULL AND ${open(schema)} AND l.created_at <= (SELECT before FROM limits)
      ), orphaned AS MATERIALIZED (
        SELECT o.id, o.name, o.version, o.updated_at AS since FROM dead d CROSS JOIN LATERAL (
          SELECT s.id, s.name, s.version, s.updated_at FROM ${schema}.saga s
          WHERE s.owner >= d.owner AND s.owner <= d.owner AND ${open(schema)}
          ORDER BY s.owner LIMIT $2
        ) o
        WHERE o.updated_at <= (SELECT before FROM limits) LIMIT $2
      ), found AS (
        SELECT * FROM due UNION ALL SELECT * FROM mailed UNION ALL SELECT * FROM orphaned
      )
      SELECT f.name, f.version, least(count(DISTINCT f.id), $2)::int AS count,
        (SELECT count(*) FROM due) >= $2 OR (SELECT count(*) FROM letters) >= $2
          OR (SELECT count(*) FROM orphaned) >= $2 AS more,
        ${epochMs('clock_timestamp() - min(f.since)')} AS oldest_ms,
        min(f.id::text) AS example
      FROM found f
      WHERE NOT EXISTS (
        SELECT FROM living l
        WHERE l.runs @> jsonb_build_object(f.name, jsonb_build_array(f.version))
      )
      GROUP BY f.name, f.version
      ORDER BY f.name, f.version`,
    values: [olderThanMs, limit],
  });
  return rows.map(({ oldest_ms: oldestMs, ...row }) => ({ ...row, oldestMs }));
}
