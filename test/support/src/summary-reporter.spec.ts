import { execFile } from 'node:child_process';
import { mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, expect, it } from 'vitest';

const here = fileURLToPath(new URL('.', import.meta.url));
const modules = fileURLToPath(new URL('../../../node_modules', import.meta.url));
let folder: string;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'sagaz-reporter-'));
  await symlink(modules, join(folder, 'node_modules'));
});
afterEach(() => rm(folder, { recursive: true, force: true }));

it('closes a run with its totals, on a line of their own', async () => {
  const lines = await report({
    'a.spec.ts': `it('passes', () => {}); it('fails', () => { throw new Error('no'); });`,
  });
  expect(lines.at(-1)).toBe('1 passed, 1 failed, 0 skipped');
});

it('counts a file that does not load as failed, though no test of it has run', async () => {
  const lines = await report({
    'a.spec.ts': `throw new Error('no');`,
    'b.spec.ts': `it('passes', () => {});`,
  });
  expect(lines.at(-1)).toBe('1 passed, 1 failed, 0 skipped');
});

it('counts a file whose hook throws as failed, though all its tests have passed', async () => {
  const lines = await report({
    'a.spec.ts': `afterAll(() => { throw new Error('no'); }); it('passes', () => {});`,
  });
  expect(lines.at(-1)).toBe('1 passed, 1 failed, 0 skipped');
});

it('says what was skipped: for its reason once, for want of one by its name', async () => {
  const lines = await report({
    'a.spec.ts': `it('x', ({ skip }) => skip('no server')); it('y', ({ skip }) => skip('no server'));
      it.skip('z', () => {});`,
  });
  expect(lines.slice(-3)).toEqual([
    'skipped: no server (2 tests)',
    'skipped: a.spec.ts > z',
    '0 passed, 0 failed, 3 skipped',
  ]);
});

async function report(files: Readonly<Record<string, string>>): Promise<string[]> {
  await mkdir(folder, { recursive: true });
  for (const [name, text] of Object.entries(files)) await writeFile(join(folder, name), text);
  const args = [
    join(modules, 'vitest/vitest.mjs'),
    'run',
    '--globals',
    `--reporter=${join(here, 'summary-reporter.ts')}`,
  ];
  const env = { ...process.env, NO_COLOR: '1' };
  const output = await new Promise<string>((resolve) => {
    execFile(process.execPath, args, { cwd: folder, env }, (_error, stdout) => resolve(stdout));
  });
  return output.trim().split('\n');
}
