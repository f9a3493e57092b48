import { readdirSync, readFileSync } from 'node:fs';
import { configOf } from '../../vitest.config.js';

// The specs that run on every PostgreSQL, here on that of the machine: `npm run test:server`, and after
// `--` parts of paths to run only some of them.
export default configOf({
  packages: [...forEachPostgres('libs/postgres/src'), ...forEachPostgres('libs/cli/src')],
  systems: forEachPostgres('test/nestjs'),
  globalSetup: 'test/compat-server/global-setup.ts',
});

/** The specs of a folder that call `describeEachPostgres` or what is built on it. */
function forEachPostgres(folder: string): string[] {
  const root = new URL(`../../${folder}/`, import.meta.url);
  return readdirSync(root, { recursive: true, encoding: 'utf8' })
    .filter((file) => file.endsWith('.spec.ts'))
    .filter((file) =>
      /describe(EachPostgres|PgBouncer)/.test(readFileSync(new URL(file, root), 'utf8')),
    )
    .map((file) => `${folder}/${file}`);
}
