import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { createDatabase, postgresServers, type TestDatabase } from '@sagaz/test-support';
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
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
    const port = await freePort();
    url = `http://127.0.0.1:${String(port)}`;
    app = spawn(process.execPath, [join(compiled.folder, 'dist/src/main.js')], {
      env: { ...process.env, DATABASE_URL: database.url, PORT: String(port) },
      stdio: ['ignore', 'ignore', 'inherit'],
    });
    await answering();
    await client.query(`INSERT INTO seat (id) VALUES ('1A'), ('1B'), ('1C')`);
  }, 120_000);

  afterAll(async () => {
    app.kill('SIGKILL');
    await client.end();
    await database.drop();
    await compiled.remove();
  });

  async function answering(): Promise<void> {
    for (let attempt = 0; attempt < 600; attempt += 1) {
      if (app.exitCode !== null) throw new Error('The application ended while it started.');
      const response = await fetch(url).catch(() => null);
      if (response !== null) return;
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
    throw new Error('The application does not answer.');
  }

  async function book(id: string, seat: string, priceCents: number): Promise<{ status: string }> {
    const response = await fetch(`${url}/bookings`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ id, seat, customer: `customer of ${id}`, priceCents }),
    });
    return (await response.json()) as { status: string };
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
      status: 'completed',
      output: { chargedCents: 5_000 },
    });
    expect(await statusOf('1A')).toBe('booked');
  });

  it('gives the same answer to the same booking', async () => {
    expect(await book('b1', '1A', 5_000)).toEqual(await book('b1', '1A', 5_000));
  });

  it('refuses a seat that is taken', async () => {
    expect(await book('b2', '1A', 5_000)).toMatchObject({ status: 'compensated' });
    expect(await statusOf('1A')).toBe('booked');
  });

  it('gives the seat back when the card is declined', async () => {
    expect(await book('b3', '1B', 500_000)).toMatchObject({ status: 'compensated' });
    expect(await statusOf('1B')).toBe('free');
  });
});
