import { mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { createDatabase, postgresServers, type TestDatabase } from '@sagaz/test-support';
import { afterAll, beforeAll, describe, it } from 'vitest';
import { packagesToInstall, tryOut, writeApplication } from '../docs/try-out.js';
import { emptyFolder, packLibraries, run } from '../workspace/packed-packages.js';

const quietly = ['--prefer-offline', '--no-audit', '--no-fund', '--silent'];
/** Of the starter's tools those that build; its linter and test runner would only take time. */
const builders = ['@nestjs/cli', '@nestjs/schematics', '@types/node', 'typescript'];

describe('the first saga of the README in the starter of Nest 11', { timeout: 300_000 }, () => {
  let parent: string;
  let folder: string;
  let database: TestDatabase;

  beforeAll(async () => {
    const [server] = postgresServers();
    if (server === undefined) throw new Error('The run has no PostgreSQL.');
    database = await createDatabase(server);
    parent = await emptyFolder();
    folder = join(parent, 'bookings');
    await newApplication(parent);
    await installAsTheReadmeSays(parent, folder);
    await writeApplication(folder);
  }, 400_000);
  afterAll(async () => {
    await database.drop();
    await rm(parent, { recursive: true, force: true });
  });

  it('does what the README says when it is tried out, process killed and all', async () => {
    await tryOut(folder, database.url);
  });
});

/** `npx @nestjs/cli@11 new bookings`, without what it installs. */
async function newApplication(parent: string): Promise<void> {
  const cli = join(parent, 'cli');
  await mkdir(cli);
  await writeFile(join(cli, 'package.json'), JSON.stringify({ private: true }));
  await run('npm', ['install', '@nestjs/cli@11', ...quietly], cli);
  const nest = join(cli, 'node_modules/@nestjs/cli/bin/nest.js');
  const options = ['--skip-install', '--skip-git', '--package-manager', 'npm'];
  await run(process.execPath, [nest, 'new', 'bookings', ...options], parent);
}

async function installAsTheReadmeSays(parent: string, folder: string): Promise<void> {
  const path = join(folder, 'package.json');
  const manifest = JSON.parse(await readFile(path, 'utf8')) as {
    devDependencies: Record<string, string>;
  };
  const tools = Object.entries(manifest.devDependencies).filter(([name]) =>
    builders.includes(name),
  );
  await writeFile(
    path,
    JSON.stringify({ ...manifest, devDependencies: Object.fromEntries(tools) }),
  );
  // The packages of this commit are in no registry.
  const packed = await packLibraries(join(parent, 'packed'));
  const tarballs = new Map(packed.map(({ name, tarball }) => [name, tarball]));
  const { line, nest11 } = await packagesToInstall();
  const packages = line.map(
    (name) => tarballs.get(name) ?? nest11.find((one) => one.startsWith(`${name}@`)) ?? name,
  );
  await run('npm', ['install', ...packages, ...quietly], folder);
}
