import type { TestProject } from 'vitest/node';
import { findServers } from '../support/src/find-servers.js';
import { provideServers } from '../support/src/provided-servers.js';
import { POSTGRESQL } from '../support/src/server-kinds.js';

/**
 * The servers of this run are those that `SAGAZ_TEST_POSTGRES_URL` names, else the one at the usual
 * port, else one in a container. Without any it fails, because there is nothing else to run.
 */
export default async function setUp(project: TestProject): Promise<() => Promise<void>> {
  const found = await findServers(POSTGRESQL);
  const reasons = found.absent.map(({ reason }) => reason);
  if (found.urls.length > 0 && reasons.length === 0) return provideServers(project, [], found);
  await found.stop();
  if (reasons.length === 0) reasons.push(`${POSTGRESQL.variable} is empty: name a server in it`);
  throw new Error(reasons.join('; '));
}
