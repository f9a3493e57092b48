import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import type { TestProject } from 'vitest/node';
import { startEmbeddedPostgres } from '../support/src/embedded-postgres.js';
import { provideServers, testFlags } from '../support/src/provided-servers.js';

/** Starts one server of each major that this folder's package.json names. */
export default async function setUp(project: TestProject): Promise<() => Promise<void>> {
  const servers = await Promise.all(
    majors().map((name) => {
      const binaries = new URL(`node_modules/${name}/dist/index.js`, import.meta.url);
      return startEmbeddedPostgres({ flags: testFlags, binaries: fileURLToPath(binaries) });
    }),
  );
  return provideServers(project, servers);
}

function majors(): string[] {
  const text = readFileSync(new URL('package.json', import.meta.url), 'utf8');
  const { dependencies } = JSON.parse(text) as { dependencies: Record<string, string> };
  return Object.keys(dependencies);
}
