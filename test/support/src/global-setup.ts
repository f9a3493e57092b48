import type { TestProject } from 'vitest/node';
import { startEmbeddedPostgres } from './embedded-postgres.js';
import { provideServers, testFlags } from './provided-servers.js';

/** Starts the embedded server, which ends with the run. */
export default async function setUp(project: TestProject): Promise<() => Promise<void>> {
  const embedded = await startEmbeddedPostgres({ flags: testFlags });
  return provideServers(project, [embedded]);
}
