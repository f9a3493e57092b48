import type { TestProject } from 'vitest/node';
import { startEmbeddedPostgres } from './embedded-postgres.js';
import { provideServers, testFlags } from './provided-servers.js';

/** Starts the embedded server, looks for another one, and cleans up when the run is over. */
export default async function setUp(project: TestProject): Promise<() => Promise<void>> {
  return provideServers(project, [await startEmbeddedPostgres({ flags: testFlags })], ownServers());
}

/** Superuser URLs of running servers to test on as well, separated by commas. */
function ownServers(): readonly string[] {
  const given = process.env.SAGAZ_TEST_POSTGRES_URL;
  return (given ?? 'postgres://postgres@127.0.0.1:5432/postgres').split(',').filter(Boolean);
}
