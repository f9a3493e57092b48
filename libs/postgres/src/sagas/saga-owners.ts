/**
 * The part `owners` of a recursive WITH: each owner of sagas once, and a last row without one. It hops from one
 * owner to the next along the index, so that it costs a few pages however many sagas are owned.
 */
export function ownersOf(schema: string): string {
  return `owners (owner) AS (
          (SELECT s.owner FROM ${schema}.saga s WHERE s.owner IS NOT NULL ORDER BY s.owner LIMIT 1)
          UNION ALL
          SELECT (SELECT s.owner FROM ${schema}.saga s WHERE s.owner > o.owner ORDER BY s.owner LIMIT 1)
          FROM owners o WHERE o.owner IS NOT NULL
        )`;
}
