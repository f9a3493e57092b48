import { rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { createDatabase, postgresServers, type TestDatabase } from '@sagaz/test-support';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  consumerSays,
  copyConsumer,
  copyRoundTrips,
  roundTripsSay,
  runConsumer,
} from '../workspace/consumer-app.js';
import { compile, emptyFolder, installInto, packLibraries } from '../workspace/packed-packages.js';

/** The oldest majors that the peers of @sagaz/nestjs allow, each in its newest version. */
const nest11 = {
  '@nestjs/common': '^11.0.0',
  '@nestjs/core': '^11.0.0',
  '@nestjs/microservices': '^11.0.0',
  '@nestjs/platform-express': '^11.0.0',
  '@nestjs/terminus': '^11.0.0',
  '@nestjs/typeorm': '^11.0.0',
  '@nestjs-cls/transactional': '^3.3.0',
  '@types/node': '^20.0.0',
  '@types/pg': '^8.0.0',
  '@willsoto/nestjs-prometheus': '^6.0.0',
  'nestjs-cls': '^6.3.0',
  'nestjs-pino': '^4.0.0',
  pg: '^8.13.0',
  'pino-http': '^10.0.0',
  'prom-client': '^15.0.0',
  'reflect-metadata': '^0.2.0',
  rxjs: '^7.8.0',
  typeorm: '^0.3.20',
};

const options = {
  compilerOptions: {
    target: 'es2023',
    module: 'nodenext',
    strict: true,
    experimentalDecorators: true,
    emitDecoratorMetadata: true,
    skipLibCheck: true,
    types: ['node'],
  },
  files: ['main.ts'],
};

describe('a CommonJS application on Nest 11 and TypeORM 0.3', { timeout: 120_000 }, () => {
  let folder: string;
  let database: TestDatabase;
  let entries: string[];

  beforeAll(async () => {
    const [server] = postgresServers();
    if (server === undefined) throw new Error('The run has no PostgreSQL.');
    database = await createDatabase(server);
    folder = await emptyFolder();
    const packages = await packLibraries(folder);
    entries = packages.flatMap((each) => each.entries);
    const tarballs = packages.map(({ name, tarball }) => [name, `file:${tarball}`] as const);
    const dependencies = { ...nest11, ...Object.fromEntries(tarballs) };
    await installInto(folder, { type: 'commonjs', dependencies });
    await writeFile(join(folder, 'tsconfig.json'), JSON.stringify(options));
  }, 180_000);
  afterAll(async () => {
    await database.drop();
    await rm(folder, { recursive: true, force: true });
  });

  it('loads every entry', async () => {
    const lines = entries.map((entry, i) => `import * as e${String(i)} from '${entry}';`);
    const all = entries.map((_, i) => `e${String(i)}`).join();
    await writeFile(join(folder, 'main.ts'), `${lines.join('\n')}\nconsole.log([${all}].length);`);
    await compile(folder);
    expect(await runConsumer(folder, database.url)).toEqual([String(entries.length)]);
  });

  it('writes, publishes, hears and runs a saga', async () => {
    await copyConsumer(folder);
    await compile(folder);
    expect(await runConsumer(folder, database.url)).toEqual(consumerSays);
  });

  it('publishes messages without a round trip', async () => {
    await copyRoundTrips(folder);
    await compile(folder);
    expect(await runConsumer(folder, database.url)).toEqual(roundTripsSay);
  });
});
