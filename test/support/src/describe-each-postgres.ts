import { describe, inject, it } from 'vitest';
import type { PostgresServer } from './servers.js';
import { skipAbsent } from './skip-absent.js';

/**
 * Runs the same suite on every PostgreSQL of this run. A server that was looked for and is not
 * there shows as one skipped test with the reason; where `CI` is set it is a failed one, because
 * there nobody reads what was skipped.
 */
export function describeEachPostgres(name: string, suite: (server: PostgresServer) => void): void {
  const { servers, absent } = inject('sagazPostgres');
  for (const server of servers) {
    describe(`${name} (${server.name})`, () => {
      suite(server);
    });
  }
  for (const missing of absent) {
    describe(`${name} (${missing.name})`, () => {
      it('runs on this server', ({ skip }) => {
        skipAbsent(skip, missing.reason);
      });
    });
  }
}
