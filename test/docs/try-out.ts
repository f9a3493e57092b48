import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { freePort } from '@sagaz/test-support';
import { expect } from 'vitest';
import { readPage, snippetsOf } from './snippets.js';

/** The section of the README that leads from an empty Nest application to a booking that survives. */
async function section(): Promise<string> {
  const [, text] = /^## A first saga[^\n]*\n([^]*?)^## /m.exec(await readPage('README.md')) ?? [];
  if (text === undefined) throw new Error('The README has no first saga.');
  return text;
}

/** Packages that the README has its reader install: by `npm install`, and the versions for Nest 11. */
export async function packagesToInstall(): Promise<{ line: string[]; nest11: string[] }> {
  const text = await section();
  const [, line] = /^npm install (.+)$/m.exec(text) ?? [];
  const [, nest11] = /Nest 11, name the versions that belong to it: `([^`]+)`/.exec(text) ?? [];
  if (line === undefined || nest11 === undefined) throw new Error('The README installs nothing.');
  return { line: line.split(' '), nest11: nest11.split(' ') };
}

/** Writes the application of the README over that which `nest new` has made in the folder. */
export async function writeApplication(folder: string): Promise<void> {
  for (const [name, code] of await snippetsOf('README.md')) {
    if (!name.startsWith('src/')) continue;
    await mkdir(dirname(join(folder, name)), { recursive: true });
    await writeFile(join(folder, name), code);
  }
}

/**
 * The commands under "Try it", block for block, as they stand there. Changed is only what a test must
 * not leave to chance or to the machine: database and port, and a person's looking on is a wait.
 */
async function scriptOf(databaseUrl: string, port: number): Promise<string> {
  const [, tryIt = ''] = (await section()).split('**4. Try it.**');
  const blocks = [...tryIt.matchAll(/^```sh\n([^]*?)^```/gm)].map(([, block = '']) => block);
  const changes: readonly (readonly [RegExp, string])[] = [
    [/^export DATABASE_URL=.*$/gm, `export DATABASE_URL='${databaseUrl}'`],
    [/localhost:3000/g, `localhost:${String(port)}`],
    [/^node dist\/main\.js &$/gm, 'node dist/main.js >>app.log 2>&1 &'],
    [/^APP=\$!$/gm, 'APP=$!; started'],
    [/^sleep 1$/gm, 'held'],
  ];
  const body = changes.reduce(
    (text, [pattern, replacement]) => {
      if (!pattern.test(text)) throw new Error(`The README tries nothing like ${String(pattern)}.`);
      return text.replace(pattern, () => replacement);
    },
    blocks.map((block) => `${block}echo ${END_OF_BLOCK}\n`).join(''),
  );
  const psql = `node '${fileURLToPath(new URL('./psql.mjs', import.meta.url))}'`;
  return `
    set -e
    command -v psql >/dev/null || psql() { ${psql} "$@"; }
    trap 'kill -9 $APP' EXIT
    started() {
      until curl -s -o /dev/null localhost:${String(port)}; do kill -0 $APP || exit 1; sleep 0.1; done
    }
    held() {
      until psql $DATABASE_URL -c "SELECT status FROM seat WHERE id = '1B'" | grep -q held; do :; done
    }
    ${body}`;
}

const END_OF_BLOCK = '--- end of block ---';

/** Does what the README says under "Try it", in the application's folder, and expects what it says. */
export async function tryOut(folder: string, databaseUrl: string): Promise<void> {
  const port = await freePort();
  const script = await scriptOf(databaseUrl, port);
  // A group of its own, so that whatever it started ends with it.
  const shell = spawn('bash', ['-c', script], {
    cwd: folder,
    env: { ...process.env, NO_COLOR: '1', PORT: String(port), SAGAZ_ENGINE_LEASE: '2s' },
    detached: true,
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const timer = setTimeout(() => endGroup(shell), 180_000);
  let out = '';
  let err = '';
  shell.stdout.on('data', (chunk) => (out += String(chunk)));
  shell.stderr.on('data', (chunk) => (err += String(chunk)));
  const [code] = (await once(shell, 'close')) as [number | null];
  clearTimeout(timer);
  const log = await readFile(join(folder, 'app.log'), 'utf8').catch(() => 'It never started.');
  const told = `${out}\n${err}\n${log.slice(-8_000)}`;
  expect(code, told).toBe(0);

  const answers = out.split(`${END_OF_BLOCK}\n`);
  const [, , booked = '', killed = '', , again = ''] = answers;
  const [first, same, other] = booked.trim().split('\n');
  expect(first, told).toMatch(/"chargedCents":5000\} 201$/);
  expect(same, told).toBe(first);
  expect(other, told).toMatch(/"SAGAZ_IDEMPOTENCY_CONFLICT".* 409$/);
  expect(log).toContain('The card processor did not answer.');
  expect(killed, 'it was killed in the middle of the booking').toMatch(/1B *\| *held/);
  expect(again, told).toMatch(/"chargedCents":5000\} 201$/m);
  expect(again, told).toMatch(/1B *\| *booked/);
  expect(again, told).toMatch(/b2 *\| *completed/);
}

function endGroup({ pid }: ChildProcess): void {
  if (pid !== undefined) process.kill(-pid, 'SIGKILL');
}
