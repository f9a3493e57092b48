import { createServer, type Server } from 'node:net';
import { once } from 'node:events';
import { chmod, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from 'vitest';
import { startEmbeddedPostgres, type EmbeddedPostgres } from './embedded-postgres.js';
import { dockerMissing, findServers, type ServerKind, type Surrounding } from './find-servers.js';
import { POSTGRESQL } from './server-kinds.js';

/** A port behind which nobody is. */
async function deadUrl(): Promise<string> {
  const server: Server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  server.close();
  if (address === null || typeof address === 'string') throw new Error('There is no port.');
  return `postgres://me:secret@127.0.0.1:${String(address.port)}/postgres`;
}

describe('the servers that a run is given', () => {
  let postgres: EmbeddedPostgres;
  let dead: string;
  let kind: ServerKind;
  const absentDocker = (): Promise<string> => Promise.resolve('Docker does not run either');
  const mustNotStart: Surrounding['start'] = () => {
    throw new Error('No container was wanted.');
  };
  const machine = (environment: Surrounding['environment']): Surrounding => ({
    environment,
    dockerMissing: absentDocker,
    start: mustNotStart,
  });

  beforeAll(async () => {
    postgres = await startEmbeddedPostgres({});
    dead = await deadUrl();
    kind = { ...POSTGRESQL, usualUrl: postgres.url };
  }, 60_000);
  afterAll(() => postgres.stop());
  afterEach(() => {
    vi.unstubAllEnvs();
  });

  it('are those of the variable, although another is at the usual port', async () => {
    const named = postgres.url.replace(/\/postgres$/, '/template1');
    const found = await findServers(kind, machine({ SAGAZ_TEST_POSTGRES_URL: named }));
    expect(found).toMatchObject({ urls: [named], absent: [] });
  });

  it('are none where the variable names one that does not answer, and the reason says so', async () => {
    const found = await findServers(kind, machine({ SAGAZ_TEST_POSTGRES_URL: dead }));
    expect(found.urls).toEqual([]);
    const reason = found.absent[0]?.reason;
    expect(reason).toMatch(
      /^no PostgreSQL at 127\.0\.0\.1:\d+ \(SAGAZ_TEST_POSTGRES_URL names it: /,
    );
    expect(reason).not.toContain('secret');
  });

  it('are none, without a word, where the variable is empty', async () => {
    const found = await findServers(kind, machine({ SAGAZ_TEST_POSTGRES_URL: '' }));
    expect(found).toMatchObject({ urls: [], absent: [] });
  });

  it('are the one at the usual port where no variable is set', async () => {
    expect(await findServers(kind, machine({}))).toMatchObject({
      urls: [postgres.url],
      absent: [],
    });
  });

  it('are named as absent where neither is there and Docker does not run', async () => {
    const found = await findServers({ ...kind, usualUrl: dead }, machine({}));
    expect(found.urls).toEqual([]);
    expect(found.absent[0]?.reason).toMatch(
      /^no PostgreSQL at 127\.0\.0\.1:\d+ \(.*ECONNREFUSED.*; Docker does not run either; name yours in SAGAZ_TEST_POSTGRES_URL\)$/,
    );
  });

  it('are started where Docker runs, and ended with the run', async () => {
    // A server of its own takes the place of the container: no machine of a test needs Docker.
    const own = await startEmbeddedPostgres({});
    let stopped = false;
    const found = await findServers(
      { ...kind, usualUrl: dead },
      {
        environment: {},
        dockerMissing: () => Promise.resolve(undefined),
        start: () =>
          Promise.resolve({
            url: own.url,
            stop: async () => {
              await own.stop();
              stopped = true;
            },
          }),
      },
    );
    expect(found).toMatchObject({ urls: [own.url], absent: [] });
    await found.stop();
    expect(stopped).toBe(true);
  });

  it('are absent for the reason that Docker gives where it runs and starts nothing', async () => {
    const found = await findServers(
      { ...kind, usualUrl: dead },
      {
        environment: {},
        dockerMissing: () => Promise.resolve(undefined),
        start: () => Promise.reject(new Error('pull access denied')),
      },
    );
    expect(found.absent[0]?.reason).toContain(
      'Docker cannot start postgres:15-alpine: pull access denied',
    );
  });

  it('take a docker that fails, and a missing one, for none', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'sagaz-docker-'));
    try {
      vi.stubEnv('PATH', folder);
      expect(await dockerMissing()).toBe('Docker does not run either');
      const docker = join(folder, 'docker');
      await writeFile(docker, '#!/bin/sh\nexit 1\n');
      await chmod(docker, 0o755);
      expect(await dockerMissing()).toBe('Docker does not run either');
      await writeFile(docker, '#!/bin/sh\necho 27.0.1\n');
      expect(await dockerMissing()).toBeUndefined();
    } finally {
      await rm(folder, { recursive: true });
    }
  });
});
