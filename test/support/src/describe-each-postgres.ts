import { describe } from 'vitest';
import { postgresServers, type PostgresServer } from './servers.js';

/**
 * Runs the same suite on every PostgreSQL of this run: `npm test` has one, the runs for other versions
 * have theirs. The run of the machine's own server takes the spec files that call this.
 */
export function describeEachPostgres(name: string, suite: (server: PostgresServer) => void): void {
  for (const server of postgresServers()) {
    describe(`${name} (${server.name})`, () => {
      suite(server);
    });
  }
}
