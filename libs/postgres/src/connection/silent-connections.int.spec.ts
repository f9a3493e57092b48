import { CommitUnknownError } from '@sagaz/core';
import {
  createDatabase,
  postgresServers,
  SilentProxy,
  type TestDatabase,
} from '@sagaz/test-support';
import { Client } from 'pg';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { NoAnswerError } from './connection.errors.js';
import { PgTransactions } from './pg-transaction.js';
import { SagazClient } from './sagaz-client.js';
import { SagazPool } from './sagaz-pool.js';

const server = postgresServers()[0]!;
const settings = { applicationName: 'spec', connectTimeoutMs: 5_000, statementTimeoutMs: 5_000 };
const logger = { debug() {}, info() {}, warn() {}, error() {} };
const ONE = { text: 'SELECT 1 AS one' };

describe('connections whose packets vanish', () => {
  let db: TestDatabase;
  let proxy: SilentProxy;
  const opened: { end(): Promise<unknown> }[] = [];

  beforeEach(async () => {
    db = await createDatabase(server);
    proxy = await SilentProxy.before(db.url);
  });
  afterEach(async () => {
    await Promise.all(opened.splice(0).map((one) => one.end()));
    await proxy.close();
    await db.drop();
  });

  function open(max = 4): SagazPool {
    const pool = new SagazPool({
      ...settings,
      source: { kind: 'url', url: proxy.url },
      max,
      logger,
    });
    opened.push(pool);
    return pool;
  }

  async function fill(pool: SagazPool, connections: number): Promise<void> {
    const clients = await Promise.all(Array.from({ length: connections }, () => pool.connect()));
    await Promise.all(clients.map((client) => client.query(ONE)));
    for (const client of clients) client.release();
  }

  it('are thrown away with the one that gave no answer, and new ones take their place', async () => {
    const pool = open();
    await fill(pool, 4);
    expect(proxy.forget()).toBe(4);
    await expect(pool.query({ ...ONE, limitMs: 50 })).rejects.toBeInstanceOf(NoAnswerError);
    // The three that stood idle would each have cost somebody the whole limit.
    await expect.poll(() => proxy.forgotten).toBe(0);
    expect((await pool.query(ONE)).rows).toEqual([{ one: 1 }]);
  });

  it('do not cost those their place that have answered since', async () => {
    const pool = open(3);
    await fill(pool, 1);
    proxy.forget();
    const client = await pool.connect();
    const silent = expect(client.query({ ...ONE, limitMs: 2_000 })).rejects.toBeInstanceOf(
      NoAnswerError,
    );
    await fill(pool, 2);
    expect(proxy.open).toBe(3);
    await silent;
    client.release(true);
    await expect.poll(() => proxy.forgotten).toBe(0);
    expect(proxy.open).toBe(2);
  });

  it('end a heartbeat while they are opened, too', async () => {
    const silences: number[] = [];
    const client = new SagazClient({ kind: 'url', url: proxy.url }, settings, (at) =>
      silences.push(at),
    );
    opened.push(client);
    proxy.silence(true);
    await expect(client.query({ ...ONE, limitMs: 50 })).rejects.toBeInstanceOf(NoAnswerError);
    proxy.silence(false);
    expect((await client.query(ONE)).rows).toEqual([{ one: 1 }]);
    proxy.forget();
    await expect(client.query({ ...ONE, limitMs: 50 })).rejects.toBeInstanceOf(NoAnswerError);
    expect((await client.query(ONE)).rows).toEqual([{ one: 1 }]);
    expect(silences).toHaveLength(2);
    await expect.poll(() => proxy.forgotten).toBe(0);
  });

  it('leave it open what became of a transaction whose COMMIT was sent', async () => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
    try {
      let ended: unknown = null;
      void new PgTransactions('a store', open())
        .run(async (transaction) => {
          await transaction.query(ONE);
          proxy.forget();
        })
        .catch((error: unknown) => (ended = error));
      const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));
      while (ended === null) {
        await turn();
        await vi.advanceTimersByTimeAsync(proxy.forgotten * 100);
      }
      expect(ended).toBeInstanceOf(CommitUnknownError);
    } finally {
      vi.useRealTimers();
    }
  });

  it('of an application are closed under a statement that is not answered', async () => {
    const client = new Client({ connectionString: proxy.url });
    const lost = new Promise<Error>((resolve) => client.on('error', resolve));
    await client.connect();
    await client.query('BEGIN');
    const transaction = new PgTransactions('a store', open()).enlist(client);
    await transaction.query(ONE);
    proxy.forget();
    await expect(transaction.query({ ...ONE, limitMs: 50 })).rejects.toBeInstanceOf(NoAnswerError);
    expect(String(await lost)).toContain('Connection terminated');
    await expect(client.query('SELECT 1')).rejects.toThrow('not queryable');
  });

  it('are closed in a bounded time', async () => {
    const pool = open();
    await fill(pool, 2);
    const busy = await pool.connect();
    const client = new SagazClient({ kind: 'url', url: proxy.url }, settings);
    await client.query(ONE);
    proxy.forget();
    const hanging = busy.query({ ...ONE, limitMs: 60_000 }).catch((error: unknown) => error);
    await Promise.all([client.end(), pool.end()]);
    expect(String(await hanging)).toContain('Connection terminated');
    await vi.waitFor(() => expect(proxy.forgotten).toBe(0), { timeout: 10_000 });
  });
});
