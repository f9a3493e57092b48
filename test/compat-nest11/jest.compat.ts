import { mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { emptyFolder, packLibraries, repository, run } from '../workspace/packed-packages.js';

/** The part of Jest in the package.json that `nest new` of Nest 11 writes. */
const starter = {
  dependencies: {
    '@nestjs/common': '^11.0.1',
    '@nestjs/core': '^11.0.1',
    '@nestjs/platform-express': '^11.0.1',
    'reflect-metadata': '^0.2.2',
    rxjs: '^7.8.1',
  },
  devDependencies: {
    '@nestjs/testing': '^11.0.1',
    '@types/jest': '^30.0.0',
    '@types/node': '^24.0.0',
    jest: '^30.0.0',
    'ts-jest': '^29.2.5',
    typescript: '^5.7.3',
  },
  jest: {
    moduleFileExtensions: ['js', 'json', 'ts'],
    rootDir: 'src',
    testRegex: '.*\\.spec\\.ts$',
    transform: { '^.+\\.(t|j)s$': 'ts-jest' },
    collectCoverageFrom: ['**/*.(t|j)s'],
    coverageDirectory: '../coverage',
    testEnvironment: 'node',
  },
};

const compilerOptions = {
  module: 'nodenext',
  moduleResolution: 'nodenext',
  resolvePackageJsonExports: true,
  esModuleInterop: true,
  isolatedModules: true,
  declaration: true,
  removeComments: true,
  emitDecoratorMetadata: true,
  experimentalDecorators: true,
  allowSyntheticDefaultImports: true,
  target: 'ES2023',
  sourceMap: true,
  outDir: './dist',
  baseUrl: './',
  incremental: true,
  skipLibCheck: true,
  strictNullChecks: true,
  forceConsistentCasingInFileNames: true,
  noImplicitAny: true,
  strictBindCallApply: true,
  noFallthroughCasesInSwitch: true,
};

const peers = {
  '@nestjs-cls/transactional': '^3.3.0',
  '@nestjs/microservices': '^11.0.1',
  '@nestjs/typeorm': '^11.0.0',
  'nestjs-cls': '^6.3.0',
  pg: '^8.13.0',
  typeorm: '^0.3.20',
};

/** The guide's application in memory, and a saga by itself, as a user of Jest writes them. */
const spec = `
import { Test } from '@nestjs/testing';
import { defineCommand } from '@sagaz/core';
import { sagaTest } from '@sagaz/core/testing';
import { connectSagaz, Sagas } from '@sagaz/nestjs';
import { MemoryBroker, SAGAZ_CLOCK, SagazTestingModule, VirtualClock } from '@sagaz/nestjs/testing';
import { AppModule, GreetingSaga, sagaz } from './greeting';

describe('the greeting', () => {
  it('greets in memory', async () => {
    const clock = new VirtualClock();
    const module = await Test.createTestingModule({ imports: [AppModule] })
      .overrideModule(sagaz)
      .useModule(SagazTestingModule.forRoot({ service: 'greetings' }))
      .overrideProvider(SAGAZ_CLOCK)
      .useValue(clock)
      .compile();
    const app = connectSagaz(module.createNestApplication());
    await app.startAllMicroservices();
    await app.init();
    const handle = await app.get(Sagas).start(GreetingSaga, { name: 'Ada' });
    expect(await clock.until(handle.outcome())).toEqual({ status: 'completed', output: 'Hello, Ada' });
    expect(app.get(MemoryBroker).published).toHaveLength(2);
    await clock.until(app.close());
  });

  it('runs by itself', async () => {
    const Greet = defineCommand<{ name: string }, string>()('greeter.greet');
    const { outcome } = await sagaTest(GreetingSaga).reply(Greet, () => 'Hi').run({ name: 'Ada' });
    expect(outcome).toEqual({ status: 'completed', output: 'Hi' });
  });
});
`;

describe('the starter of Nest 11, which tests with Jest in CommonJS', { timeout: 300_000 }, () => {
  let folder: string;
  let guide: string;

  beforeAll(async () => {
    guide = await readFile(join(repository, 'docs/guides/testing.md'), 'utf8');
    folder = await emptyFolder();
    const packages = await packLibraries(join(folder, 'packed'));
    const ours = packages.map(({ name, tarball }) => [name, `file:${tarball}`] as const);
    const manifest = {
      name: 'starter',
      private: true,
      dependencies: { ...starter.dependencies, ...peers, ...Object.fromEntries(ours) },
      devDependencies: starter.devDependencies,
      jest: { ...starter.jest, ...lineOf(guide) },
    };
    await writeFile(join(folder, 'package.json'), JSON.stringify(manifest));
    await writeFile(join(folder, 'tsconfig.json'), JSON.stringify({ compilerOptions }));
    await mkdir(join(folder, 'src'));
    await writeFile(join(folder, 'src/greeting.ts'), snippet(guide, 'greeting.ts'));
    await writeFile(join(folder, 'src/greeting.spec.ts'), spec);
    await run(
      'npm',
      ['install', '--prefer-offline', '--no-audit', '--no-fund', '--silent'],
      folder,
    );
  }, 300_000);
  afterAll(async () => {
    await rm(folder, { recursive: true, force: true });
  });

  it('runs both test kits with the one line that the guide gives', async () => {
    const jest = join(folder, 'node_modules/jest/bin/jest.js');
    const report = await run(process.execPath, [jest, '--json'], folder);
    const { numPassedTests, success } = JSON.parse(report) as {
      readonly numPassedTests: number;
      readonly success: boolean;
    };
    expect({ numPassedTests, success }).toEqual({ numPassedTests: 2, success: true });
  });
});

/** The line of Jest's configuration that the guide tells its reader to add. */
function lineOf(guide: string): Record<string, unknown> {
  const [line] = /^"transformIgnorePatterns": .+$/m.exec(guide) ?? [];
  if (line === undefined) throw new Error('The guide gives no line for Jest.');
  return JSON.parse(`{${line}}`) as Record<string, unknown>;
}

function snippet(guide: string, file: string): string {
  const [, code] = new RegExp(`\`\`\`ts\\n// ${file}\\n([^]*?)\`\`\``).exec(guide) ?? [];
  if (code === undefined) throw new Error(`The guide has no snippet ${file}.`);
  return code;
}
