import { mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { dirname, join, posix } from 'node:path';
import { createDatabase, postgresServers, type TestDatabase } from '@sagaz/test-support';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { consumerSays, copyConsumer, runConsumer } from './consumer-app.js';
import {
  compile,
  emptyFolder,
  installInto,
  packLibraries,
  repository,
  run,
  type PackedPackage,
} from './packed-packages.js';

describe('the published packages', { timeout: 120_000 }, () => {
  let folder: string;
  let app: string;
  let packages: PackedPackage[];
  let database: TestDatabase;

  beforeAll(async () => {
    const [server] = postgresServers();
    if (server === undefined) throw new Error('The run has no PostgreSQL.');
    database = await createDatabase(server);
    folder = await emptyFolder();
    app = join(folder, 'app');
    packages = await packLibraries(folder);
    await mkdir(app);
    await installInto(app, { type: 'module', dependencies: await dependencies(packages) });
  }, 400_000);
  afterAll(async () => {
    await database.drop();
    await rm(folder, { recursive: true, force: true });
  });

  it('carry their licence and a README, and neither specs nor compiler state', () => {
    for (const { name, files } of packages) {
      expect(files, name).toEqual(expect.arrayContaining(['LICENSE', 'README.md']));
      expect(files.filter((file) => /\.(spec|fixture)\.|tsbuildinfo/.test(file))).toEqual([]);
    }
  });

  it('lead every line of JavaScript and every type back to a source they carry', async () => {
    for (const { name, files } of packages) {
      const maps = files.filter((file) => file.endsWith('.map'));
      const mapped = files.filter((file) => /^dist\/.*(\.js|\.d\.ts)$/.test(file));
      expect(maps.length).toBeGreaterThan(0);
      expect(mapped.filter((file) => !maps.includes(`${file}.map`))).toEqual([]);
      for (const map of maps) {
        const text = await readFile(join(app, 'node_modules', name, map), 'utf8');
        const { sources } = JSON.parse(text) as { sources: string[] };
        for (const source of sources) {
          expect(files).toContain(posix.join(dirname(map), source));
        }
      }
    }
  });

  it('compile and load by every entry in a Nest app outside the repository', async () => {
    const entries = packages.flatMap((each) => each.entries);
    await writeFile(join(app, 'main.ts'), application(entries));
    await writeFile(join(app, 'tsconfig.json'), JSON.stringify(modern));
    await compile(app);
    const output = await run(process.execPath, ['main.js'], app);
    expect(output.trim().split('\n')).toEqual([...entries.map((e) => `loaded ${e}`), 'started']);
  });

  it('write, publish, hear and run a saga in that app', async () => {
    await copyConsumer(app);
    await compile(app);
    expect(await runConsumer(app, database.url)).toEqual(consumerSays);
  });

  it('exist once in that app, so that a class is the same class everywhere', async () => {
    const found = await run('npm', ['ls', '@sagaz/core', '--parseable', '--all'], app);
    expect(found.trim().split('\n')).toEqual([join(app, 'node_modules/@sagaz/core')]);
  });

  it('give their types to a CommonJS app that resolves the old way', async () => {
    // Inside the app's folder for its node_modules, with a package.json of its own.
    const legacy = join(app, 'legacy');
    await mkdir(legacy);
    await writeFile(join(legacy, 'package.json'), JSON.stringify({ type: 'commonjs' }));
    const entries = packages.flatMap((each) => each.entries);
    const imports = entries.map((entry, i) => `import * as e${String(i)} from '${entry}';`);
    const uses = `export const all: object[] = [${entries.map((_, i) => `e${String(i)}`).join()}];`;
    await writeFile(join(legacy, 'main.ts'), [...imports, uses].join('\n'));
    await writeFile(join(legacy, 'tsconfig.json'), JSON.stringify(old));
    await compile(legacy, 'typescript');
    await run(process.execPath, ['--no-warnings', 'main.js'], legacy);
  });

  it('bring a command line that starts', async () => {
    const help = await run(join(app, 'node_modules/.bin/sagaz'), ['--help'], app);
    expect(help).toContain('migrate');
  });
});

const modern = {
  compilerOptions: {
    target: 'es2023',
    module: 'nodenext',
    strict: true,
    exactOptionalPropertyTypes: true,
    experimentalDecorators: true,
    emitDecoratorMetadata: true,
    // Declarations of ours that do not resolve would otherwise turn into `any` in silence.
    skipLibCheck: false,
    types: ['node'],
  },
  files: ['main.ts'],
};

const old = {
  compilerOptions: {
    target: 'es2023',
    module: 'commonjs',
    moduleResolution: 'node10',
    ignoreDeprecations: '6.0',
    strict: true,
    skipLibCheck: true,
    esModuleInterop: true,
    types: ['node'],
  },
  files: ['main.ts'],
};

/** The packages themselves, and each of their peers in the version this repository tests with. */
async function dependencies(packages: readonly PackedPackage[]): Promise<Record<string, string>> {
  const wanted: Record<string, string> = {};
  const pinned = ['@nestjs/platform-express', '@types/node', '@types/pg', 'pino-http'];
  for (const { folder } of packages) {
    const manifest = await readManifest(folder);
    pinned.push(...Object.keys(manifest.peerDependencies ?? {}));
  }
  for (const name of pinned.filter((each) => !each.startsWith('@sagaz/'))) {
    wanted[name] = (await readManifest(join(repository, 'node_modules', name))).version;
  }
  for (const { name, tarball } of packages) wanted[name] = `file:${tarball}`;
  return wanted;
}

interface Manifest {
  readonly version: string;
  readonly peerDependencies?: Record<string, string>;
}

async function readManifest(folder: string): Promise<Manifest> {
  return JSON.parse(await readFile(join(folder, 'package.json'), 'utf8')) as Manifest;
}

function application(entries: readonly string[]): string {
  return [
    `import 'reflect-metadata';`,
    `import { Module } from '@nestjs/common';`,
    `import { NestFactory } from '@nestjs/core';`,
    ...entries.map((entry, i) => `import * as entry${String(i)} from '${entry}';`),
    `@Module({}) class AppModule {}`,
    ...entries.map(
      (entry, i) => `if (typeof entry${String(i)} === 'object') console.log('loaded ${entry}');`,
    ),
    `const app = await NestFactory.createApplicationContext(AppModule, { logger: false });`,
    `console.log('started');`,
    `await app.close();`,
  ].join('\n');
}
