import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { createDatabase, postgresServers, type TestDatabase } from '@sagaz/test-support';
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { compile, snippetsOf, type Compiled } from './snippets.js';

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  server.close();
  if (address === null || typeof address === 'string') throw new Error('no port');
  return address.port;
}

describe('the first saga of the README', () => {
  let compiled: Compiled;
  let database: TestDatabase;
  let client: pg.Client;
  let app: ChildProcess;
  let url: string;

  beforeAll(async () => {
    compiled = await compile(await snippetsOf('README.md'));
    const [server] = postgresServers();
    if (server === undefined) throw new Error('There is no PostgreSQL.');
    database = await createDatabase(server);
    client = new pg.Client({ connectionString: database.url });
    await client.connect();
    await start();
    await client.query(
      `INSERT INTO seat (id) SELECT '1' || chr(n) FROM generate_series(65, 74) AS n`,
    );
  }, 120_000);

  afterAll(async () => {
    app.kill('SIGKILL');
    await client.end();
    await database.drop();
    await compiled.remove();
  });

  async function start(): Promise<void> {
    const port = await freePort();
    url = `http://127.0.0.1:${String(port)}`;
    app = spawn(process.execPath, [join(compiled.folder, 'dist/src/main.js')], {
      env: {
        ...process.env,
        DATABASE_URL: database.url,
        PORT: String(port),
        SAGAZ_ENGINE_LEASE: '2s',
      },
      stdio: ['ignore', 'ignore', 'inherit'],
    });
    await answering();
  }

  async function kill(): Promise<void> {
    const ended = once(app, 'exit');
    app.kill('SIGKILL');
    await ended;
  }

  async function answering(): Promise<void> {
    for (let attempt = 0; attempt < 600; attempt += 1) {
      if (app.exitCode !== null) throw new Error('The application ended while it started.');
      const response = await fetch(url).catch(() => null);
      if (response !== null) return;
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

  it('books a seat, through a charge that fails at first', async () => {
    expect(await book('b1', '1A', 5_000)).toMatchObject({
      code: 201,
      body: { chargedCents: 5_000 },
    });
    expect(await statusOf('1A')).toBe('booked');
  });

  it('gives the same answer to the same booking', async () => {
    expect(await book('b1', '1A', 5_000)).toEqual(await book('b1', '1A', 5_000));
  });

  it('refuses a seat that is taken', async () => {
    const answer = await book('b2', '1A', 5_000);
    expect(answer).toMatchObject({ code: 409, body: { status: 'compensated' } });
    expect(JSON.stringify(answer), 'no stack for clients').not.toContain('node_modules');
    expect(await statusOf('1A')).toBe('booked');
  });

  it('gives the seat back when the card is declined', async () => {
    expect(await book('b3', '1B', 500_000)).toMatchObject({ code: 409 });
    expect(await statusOf('1B')).toBe('free');
  });

  it('goes on with a booking whose process was killed in the middle of it', async () => {
    // The first charge of a process fails, so that its booking stands for a while with the seat held.
    for (const seat of ['1C', '1D', '1E', '1F', '1G']) {
      await kill();
      await start();
      void book(`killed ${seat}`, seat, 5_000).catch(() => undefined);
      await vi.waitUntil(async () => (await statusOf(seat)) !== 'free', {
        interval: 5,
        timeout: 20_000,
      });
      await kill();
      const stoodStill = (await statusOf(seat)) === 'held';
      await start();
      await vi.waitUntil(async () => (await statusOf(seat)) === 'booked', { timeout: 30_000 });
      if (stoodStill) return;
    }
    throw new Error('No process was killed in the middle of its booking.');
  }, 300_000);
});
