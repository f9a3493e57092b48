import type { TestProject } from 'vitest/node';
import { startEmbeddedPostgres } from '../support/src/embedded-postgres.js';
import { startPgBouncer } from '../support/src/pgbouncer.js';
import { provideServers, testFlags } from '../support/src/provided-servers.js';

/**
 * The only server of this run is a PostgreSQL by way of a PgBouncer in transaction mode. Without a
 * PgBouncer it fails, because there is nothing else to run.
 */
export default async function setUp(project: TestProject): Promise<() => Promise<void>> {
  const postgres = await startEmbeddedPostgres({ flags: testFlags });
  const bouncer = await startPgBouncer(postgres.url).catch(async (error: unknown) => {
    await postgres.stop();
    throw error;
  });
  const clean = await provideServers(project, [{ ...postgres, url: bouncer.url, pooled: true }]);
  return async () => {
    await bouncer.stop();
    await clean();
  };
}
