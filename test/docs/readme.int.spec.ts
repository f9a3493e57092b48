import { execFile, spawn, type ChildProcess } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { createDatabase, freePort, postgresServers, type TestDatabase } from '@sagaz/test-support';
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { compile, repository, snippetsOf } from './snippets.js';
import { tryOut, writeApplication } from './try-out.js';

const run = promisify(execFile);

describe('the README', () => {
  it('compiles, snippet for snippet, by the strictest settings', async () => {
    const { remove } = await compile(await snippetsOf('README.md'));
    await remove();
  }, 60_000);
});

describe('the first saga of the README', () => {
  let parent: string;
  let folder: string;
  let database: TestDatabase;
  let client: pg.Client;
  let app: ChildProcess | undefined;
  let url: string;

  beforeAll(async () => {
    const [server] = postgresServers();
    if (server === undefined) throw new Error('There is no PostgreSQL.');
    database = await createDatabase(server);
    client = new pg.Client({ connectionString: database.url });
    await client.connect();
    // Inside the workspace, so that it finds what `npm install` would have brought.
    parent = await mkdtemp(join(repository, 'test/docs/.snippets-'));
    folder = join(parent, 'bookings');
    const nest = join(repository, 'node_modules/@nestjs/cli/bin/nest.js');
    const options = ['--skip-install', '--skip-git', '--package-manager', 'npm', '--no-observe'];
    await run(process.execPath, [nest, 'new', 'bookings', ...options], { cwd: parent });
    await writeApplication(folder);
  }, 120_000);

  afterAll(async () => {
    app?.kill('SIGKILL');
    await client.end();
    await database.drop();
    await rm(parent, { recursive: true, force: true });
  });

  it('does what the README says when it is tried out, process killed and all', async () => {
    await tryOut(folder, database.url);
  }, 200_000);

  it('refuses a seat that is taken, and gives it back when the card is declined', async () => {
    await client.query(`INSERT INTO seat (id) VALUES ('1C')`);
    await start();
    const taken = await book('b3', '1A', 5_000);
    expect(taken).toMatchObject({ code: 409, body: { status: 'compensated' } });
    expect(JSON.stringify(taken), 'no stack for clients').not.toContain('node_modules');
    expect(await statusOf('1A')).toBe('booked');
    expect(await book('b4', '1C', 500_000)).toMatchObject({ code: 409 });
    expect(await statusOf('1C')).toBe('free');
  }, 120_000);

  async function start(): Promise<void> {
    const port = await freePort();
    url = `http://127.0.0.1:${String(port)}`;
    app = spawn(process.execPath, ['dist/main.js'], {
      cwd: folder,
      env: { ...process.env, DATABASE_URL: database.url, PORT: String(port) },
      stdio: ['ignore', 'ignore', 'inherit'],
    });
    for (let attempt = 0; attempt < 600; attempt += 1) {
      if (app.exitCode !== null) throw new Error('The application ended while it started.');
      if ((await fetch(url).catch(() => null)) !== null) return;
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
    throw new Error('The application does not answer.');
  }

  interface Answer {
    readonly code: number;
    readonly body: unknown;
  }

  async function book(id: string, seat: string, priceCents: number): Promise<Answer> {
    const response = await fetch(`${url}/bookings`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ id, seat, customer: `customer of ${id}`, priceCents }),
    });
    return { code: response.status, body: await response.json() };
  }

  async function statusOf(seat: string): Promise<unknown> {
    const { rows } = await client.query<{ status: string }>(
      'SELECT status FROM seat WHERE id = $1',
      [seat],
    );
    return rows[0]?.status;
  }
});
