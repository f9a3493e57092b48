import { it } from 'vitest';
import { describeEachPostgres } from './describe-each-postgres.js';
import { pgBouncerMissing } from './pgbouncer.js';
import type { PostgresServer } from './servers.js';
import { skipAbsent } from './skip-absent.js';

/**
 * Runs the same suite on every PostgreSQL of this run, where there is a PgBouncer to stand before it;
 * else it shows as one skipped test with the reason, and where `CI` is set as a failed one.
 */
export function describePgBouncer(name: string, suite: (server: PostgresServer) => void): void {
  const missing = pgBouncerMissing();
  describeEachPostgres(name, (server) => {
    if (missing === undefined) suite(server);
    else {
      it('runs behind a PgBouncer', ({ skip }) => {
        skipAbsent(skip, missing);
      });
    }
  });
}
