import { spawn, type ChildProcess } from 'node:child_process';
import { connect } from 'node:net';
import { fileURLToPath } from 'node:url';
import pg from 'pg';
import { describe, expect, it, vi } from 'vitest';
import { startEmbeddedPostgres } from './embedded-postgres.js';

describe('an embedded PostgreSQL', () => {
  it('takes the settings it is given, and is gone when stopped', async () => {
    const server = await startEmbeddedPostgres({ flags: { max_connections: 17 } });
    const client = new pg.Client({ connectionString: server.url });
    await client.connect();
    const { rows } = await client.query('SHOW max_connections');
    await client.end();
    await server.stop();
    expect(rows).toEqual([{ max_connections: '17' }]);
    expect(await listens(server.port)).toBe(false);
  });

  it('does not outlive a process that is killed while it uses it', async () => {
    const { starter, port } = await startFromAnotherProcess();
    expect(await listens(port)).toBe(true);
    starter.kill('SIGKILL');
    await vi.waitFor(async () => expect(await listens(port)).toBe(false), { timeout: 20_000 });
  });

  it('says in its own words why it did not start', async () => {
    await expect(startEmbeddedPostgres({ flags: { max_connections: 'many' } })).rejects.toThrow(
      'max_connections',
    );
  });
});

/** In plain JavaScript, because a killed process cannot be one that runs specs. */
async function startFromAnotherProcess(): Promise<{ starter: ChildProcess; port: number }> {
  const guardian = fileURLToPath(new URL('../server-guardian.mjs', import.meta.url));
  const script = `
    const { spawn } = require('node:child_process');
    const options = { detached: true, stdio: ['pipe', 'pipe', 'inherit'] };
    spawn(process.execPath, [${JSON.stringify(guardian)}], options).stdout.pipe(process.stdout);
  `;
  const starter = spawn(process.execPath, ['-e', script], { stdio: ['ignore', 'pipe', 'inherit'] });
  const line = await new Promise<string>((resolve, reject) => {
    starter.stdout.setEncoding('utf8').once('data', resolve);
    starter.once('exit', () => reject(new Error('The server did not start.')));
  });
  return { starter, port: (JSON.parse(line) as { port: number }).port };
}

function listens(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1');
    socket.once('connect', () => {
      socket.destroy();
      resolve(true);
    });
    socket.once('error', () => resolve(false));
  });
}
