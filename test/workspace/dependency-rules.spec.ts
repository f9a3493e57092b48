import { execFile } from 'node:child_process';
import { mkdir, mkdtemp, realpath, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

interface Import {
  /** The rule that must report it; none when it is allowed. */
  readonly rule?: string;
  readonly from: string;
  readonly to: string;
}

const core = 'libs/core/src';
const wrong: readonly Import[] = [
  { rule: 'core-knows-no-other-package', from: `${core}/saga/a.ts`, to: '@sagaz/postgres' },
  { rule: 'core-knows-no-other-package', from: `${core}/engine/a.ts`, to: 'pg' },
  { rule: 'core-knows-no-other-package', from: `${core}/engine/b.ts`, to: '@nestjs/common' },
  { rule: 'core-does-no-input-or-output', from: `${core}/engine/c.ts`, to: 'node:fs' },
  { rule: 'core-does-no-input-or-output', from: `${core}/engine/d.ts`, to: 'net' },
  { rule: 'core-does-no-input-or-output', from: `${core}/testing/a.ts`, to: 'node:fs/promises' },
  { rule: 'drivers-know-core-only', from: 'libs/postgres/src/a.ts', to: '@sagaz/kafka' },
  { rule: 'drivers-know-core-only', from: 'libs/kafka/src/a.ts', to: '@sagaz/nestjs' },
  {
    rule: 'drivers-know-their-own-client-only',
    from: 'libs/postgres/src/b.ts',
    to: '@nestjs/common',
  },
  { rule: 'nestjs-knows-core-only', from: 'libs/nestjs/src/a.ts', to: '@sagaz/postgres' },
  { rule: 'nestjs-loads-no-driver', from: 'libs/nestjs/src/b.ts', to: 'pg' },
  {
    rule: 'optional-peers-stay-behind-their-subpath',
    from: 'libs/nestjs/src/c.ts',
    to: '@nestjs/terminus',
  },
  {
    rule: 'optional-peers-stay-behind-their-subpath',
    from: 'libs/nestjs/src/d.ts',
    to: './health/index.js',
  },
  { rule: 'cli-knows-core-and-drivers', from: 'libs/cli/src/a.ts', to: '@sagaz/nestjs' },
  {
    rule: 'libraries-know-no-application-and-no-test',
    from: 'libs/nestjs/src/e.ts',
    to: '../../../apps/shop/src/main.js',
  },
  {
    rule: 'applications-talk-by-messages',
    from: 'apps/stock/src/a.ts',
    to: '../../shop/src/main.js',
  },
  {
    rule: 'packages-are-entered-by-their-name',
    from: 'libs/postgres/src/c.ts',
    to: '../../core/src/index.js',
  },
  {
    rule: 'packages-are-entered-by-their-name',
    from: 'apps/shop/src/a.ts',
    to: '../../../libs/core/src/index.js',
  },
  {
    rule: 'inner-core-knows-nothing-of-outer-core',
    from: `${core}/ports/a.ts`,
    to: '../saga/index.js',
  },
  {
    rule: 'inner-core-knows-nothing-of-outer-core',
    from: `${core}/errors/a.ts`,
    to: '../engine/index.js',
  },
  {
    rule: 'inner-core-knows-nothing-of-outer-core',
    from: `${core}/names.ts`,
    to: './saga/index.js',
  },
  {
    rule: 'saga-knows-messages-and-the-inner-core-only',
    from: `${core}/saga/b.ts`,
    to: '../engine/index.js',
  },
  {
    rule: 'messaging-knows-the-inner-core-only',
    from: `${core}/messaging/a.ts`,
    to: '../saga/index.js',
  },
  {
    rule: 'engine-knows-no-implementation',
    from: `${core}/engine/e.ts`,
    to: '../memory/index.js',
  },
  { rule: 'only-specs-use-testing', from: `${core}/memory/a.ts`, to: '../testing/index.js' },
  {
    rule: 'folders-are-entered-by-their-door',
    from: `${core}/engine/f.ts`,
    to: '../saga/c.js',
  },
  {
    rule: 'folders-are-entered-by-their-door-from-above',
    from: `${core}/index.ts`,
    to: './saga/c.js',
  },
  { rule: 'no-cycles', from: `${core}/engine/g.ts`, to: './h.js' },
  { rule: 'shipped-code-uses-no-dev-dependency', from: 'apps/shop/src/b.ts', to: 'vitest' },
  { rule: 'only-specs-use-fixtures', from: `${core}/engine/j.ts`, to: './material.fixture.js' },
  { rule: 'every-import-resolves', from: 'apps/shop/src/c.ts', to: './missing.js' },
];

const right: readonly Import[] = [
  { from: 'libs/postgres/src/index.ts', to: '@sagaz/core' },
  { from: 'libs/postgres/src/d.ts', to: 'pg' },
  { from: 'libs/nestjs/src/index.ts', to: '@sagaz/core' },
  { from: 'libs/nestjs/src/f.ts', to: '@nestjs/common' },
  { from: 'libs/nestjs/src/g.spec.ts', to: '@sagaz/postgres' },
  { from: 'libs/nestjs/src/health/index.ts', to: '@nestjs/terminus' },
  { from: 'libs/cli/src/b.ts', to: '@sagaz/postgres' },
  { from: 'apps/shop/src/main.ts', to: '@sagaz/nestjs' },
  { from: 'apps/shop/src/d.ts', to: '@sagaz/postgres' },
  { from: `${core}/ports/index.ts`, to: '../errors/index.js' },
  { from: `${core}/errors/index.ts`, to: '../ids.js' },
  { from: `${core}/saga/index.ts`, to: '../ports/index.js' },
  { from: `${core}/saga/c.ts`, to: 'node:crypto' },
  { from: `${core}/saga/d.ts`, to: '../messaging/index.js' },
  { from: `${core}/messaging/index.ts`, to: '../ports/index.js' },
  { from: `${core}/engine/index.ts`, to: '../saga/index.js' },
  { from: `${core}/engine/i.ts`, to: '../messaging/index.js' },
  { from: `${core}/saga/e.spec.ts`, to: '../engine/material.fixture.js' },
  { from: `${core}/memory/index.ts`, to: '../engine/index.js' },
  { from: `${core}/testing/index.ts`, to: '../memory/index.js' },
];

const repository = dirname(dirname(dirname(fileURLToPath(import.meta.url))));

describe('the dependency rules', () => {
  let fixture: string;
  let reported: { from: string; rule: string }[];

  beforeAll(async () => {
    fixture = await realpath(await mkdtemp(join(tmpdir(), 'sagaz-rules-')));
    await writeFixture(fixture);
    reported = await violations(fixture);
  });
  afterAll(() => rm(fixture, { recursive: true, force: true }));

  it.each(wrong)('report $from importing $to', ({ rule, from }) => {
    expect(reported).toContainEqual({ rule, from });
  });

  it.each(right)('let $from import $to', ({ from }) => {
    expect(reported.filter((violation) => violation.from === from)).toEqual([]);
  });

  it('have no rule that this fixture does not make fire', async () => {
    const config = (await import(join(repository, '.dependency-cruiser.cjs'))) as {
      default: { forbidden: { name: string }[] };
    };
    const fired = new Set(reported.map(({ rule }) => rule));
    const silent = config.default.forbidden.filter(({ name }) => !fired.has(name));
    expect(silent.map(({ name }) => name)).toEqual([]);
  });
});

/** A repository in small: the same rooms, every file with the one import it is there for. */
async function writeFixture(root: string): Promise<void> {
  const write = async (path: string, text: string) => {
    await mkdir(dirname(join(root, path)), { recursive: true });
    await writeFile(join(root, path), text);
  };
  const packages = ['core', 'postgres', 'kafka', 'nestjs', 'cli'];
  const clients = ['pg', '@nestjs/common', '@nestjs/terminus', 'vitest'];
  await write('tsconfig.base.json', '{ "compilerOptions": { "module": "nodenext" } }');
  await mkdir(join(root, 'node_modules/@sagaz'), { recursive: true });
  for (const name of packages) {
    const manifest = {
      name: `@sagaz/${name}`,
      exports: './src/index.ts',
      dependencies: everyOne([...clients.slice(0, 3), '@sagaz/core', '@sagaz/postgres']),
    };
    await write(`libs/${name}/package.json`, JSON.stringify(manifest));
    await write(`libs/${name}/src/index.ts`, 'export {};\n');
    await symlink(join(root, 'libs', name), join(root, 'node_modules/@sagaz', name));
  }
  for (const name of clients) {
    await write(`node_modules/${name}/package.json`, JSON.stringify({ name, main: 'index.js' }));
    await write(`node_modules/${name}/index.js`, '');
  }
  const application = {
    dependencies: everyOne(packages.map((name) => `@sagaz/${name}`)),
    devDependencies: everyOne(['vitest']),
  };
  for (const name of ['shop', 'stock']) {
    await write(`apps/${name}/package.json`, JSON.stringify(application));
  }
  await write(`${core}/ids.ts`, 'export {};\n');
  await write(`${core}/engine/material.fixture.ts`, 'export {};\n');
  await write(`${core}/engine/h.ts`, `import './g.js';\n`);
  for (const { from, to } of [...right, ...wrong]) await write(from, `import '${to}';\n`);
}

function everyOne(names: readonly string[]): Record<string, string> {
  return Object.fromEntries(names.map((name) => [name, '*']));
}

async function violations(root: string): Promise<{ from: string; rule: string }[]> {
  const cruiser = join(repository, 'node_modules/dependency-cruiser/bin/dependency-cruise.mjs');
  const config = join(repository, '.dependency-cruiser.cjs');
  const output = await new Promise<string>((resolve, reject) => {
    execFile(
      process.execPath,
      [cruiser, '--config', config, '--output-type', 'json', 'libs', 'apps'],
      { cwd: root, maxBuffer: 64 * 1024 * 1024 },
      (error, stdout) => {
        if (stdout === '') reject(error ?? new Error('The dependency check printed nothing.'));
        else resolve(stdout);
      },
    );
  });
  const { summary } = JSON.parse(output) as {
    summary: { violations: { from: string; rule: { name: string } }[] };
  };
  return summary.violations.map(({ from, rule }) => ({ from, rule: rule.name }));
}
