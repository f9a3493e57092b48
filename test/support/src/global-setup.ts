import type { TestProject } from 'vitest/node';
import { startEmbeddedPostgres } from './embedded-postgres.js';
import { findServers } from './find-servers.js';
import { provideServers, testFlags } from './provided-servers.js';
import { POSTGRESQL } from './server-kinds.js';

/** Starts the embedded server, looks for another one, and cleans up when the run is over. */
export default async function setUp(project: TestProject): Promise<() => Promise<void>> {
  const embedded = await startEmbeddedPostgres({ flags: testFlags });
  return provideServers(project, [embedded], await findServers(POSTGRESQL));
}
