import {
  InboxProcessor,
  jsonCodec,
  newId,
  systemClock,
  type ClaimState,
  type InboxKey,
} from '@sagaz/core';
import { describeEachPostgres } from '@sagaz/test-support';
import pg from 'pg';
import { afterAll, afterEach, beforeAll, expect, it, vi } from 'vitest';
import { InboxDatabase } from './inbox.fixture.js';

const WAIT_MS = 200;
const logger = { debug() {}, info() {}, warn() {}, error() {} };

describeEachPostgres('a process that is frozen while its handler has a transaction', (server) => {
  let database: InboxDatabase;
  const clients: pg.Client[] = [];

  beforeAll(async () => {
    database = await InboxDatabase.open(server);
    const { pool } = database.store(0);
    await pool.query({ text: 'CREATE TABLE stock (sku text PRIMARY KEY, amount integer)' });
    await pool.query({ text: `INSERT INTO stock VALUES ('sku', 1)` });
  });
  afterEach(async () => {
    for (const client of clients.splice(0)) await client.end().catch(() => undefined);
  });
  afterAll(() => database.drop());

  function freshKey(): InboxKey {
    return { tenant: '', group: 'inventory', source: 'orders', id: newId() };
  }

  /** A connection of the application, with a transaction open. */
  async function begun(before = 'SELECT 1'): Promise<pg.Client> {
    const client = new pg.Client({ connectionString: database.url });
    clients.push(client);
    // The server ends the session of a frozen client, which is then told so.
    client.on('error', () => undefined);
    await client.connect();
    await client.query(before);
    await client.query('BEGIN');
    return client;
  }

  async function limitOf(client: pg.Client): Promise<unknown> {
    const { rows } = await client.query<{ limit: string }>(
      `SELECT current_setting('idle_in_transaction_session_timeout') AS limit`,
    );
    return rows[0]?.limit;
  }

  function claim(key: InboxKey, client: pg.Client, idleMs?: number): Promise<ClaimState> {
    const { inbox, transactions } = database.store(0);
    const options = idleMs === undefined ? {} : { idleMs };
    return inbox.claim(key, transactions.enlist(client), WAIT_MS, options);
  }

  it('releases the message and the rows it has locked when its time is over', async () => {
    const key = freshKey();
    const frozen = await begun();
    expect(await claim(key, frozen, 1_000)).toBe('new');
    await frozen.query(`UPDATE stock SET amount = 2 WHERE sku = 'sku'`);
    const { inbox, transactions, pool } = database.store(1);
    await vi.waitFor(
      async () => {
        const claimed = await transactions.run((own) => inbox.claim(key, own, WAIT_MS));
        expect(claimed).toBe('new');
      },
      { timeout: 30_000, interval: 50 },
    );
    const { rows } = await pool.query<{ amount: number }>({
      text: 'UPDATE stock SET amount = amount + 10 RETURNING amount',
      limitMs: 10_000,
    });
    expect(rows).toEqual([{ amount: 11 }]);
  });

  it('is given its time by the limit of the handler, and only in its own transaction', async () => {
    const client = await begun();
    const { inbox, transactions } = database.store(0);
    const processor = new InboxProcessor({
      inbox,
      transactions,
      outbox: { append: () => Promise.resolve() },
      service: 'inventory',
      clock: systemClock,
      logger,
    });
    const limits: unknown[] = [];
    const receive = (timeoutMs: number | null): Promise<unknown> => {
      const { id, group, ...key } = freshKey();
      const message = {
        ...key,
        id,
        topic: 'order',
        key: id,
        type: 'order.placed',
        time: '2026-01-01T00:00:00.000Z',
        contentType: 'application/json',
        payload: new Uint8Array(),
        headers: {},
      };
      const retry = { attempts: 3, backoffMs: 10, factor: 2, maxDelayMs: 100, jitter: 0 };
      return processor.receive(
        { message, group, attempt: 1, signal: new AbortController().signal },
        { group, type: message.type, retry, codec: jsonCodec, timeoutMs },
        (attempt) =>
          attempt.run(
            {
              run: async (body) => {
                await client.query('BEGIN');
                const value = await body(transactions.enlist(client), () => undefined);
                await client.query('COMMIT');
                return value;
              },
            },
            async () => limits.push(await limitOf(client)),
          ),
      );
    };
    await client.query('ROLLBACK');
    await receive(2_000);
    await receive(null);
    // The limit of the handler, as long again to stop, and five seconds.
    expect(limits).toEqual(['9s', '0']);
    expect(await limitOf(client)).toBe('0');
  });

  it('keeps the limit that the session has already', async () => {
    const client = await begun(`SET idle_in_transaction_session_timeout = '7s'`);
    await claim(freshKey(), client, 900_000);
    expect(await limitOf(client)).toBe('7s');
  });

  it('has the limit also when its claim has waited for another', async () => {
    const key = freshKey();
    const [holder, waiting] = [await begun(), await begun()];
    await claim(key, holder);
    const { inbox, transactions } = database.store(0);
    const waited = inbox.claim(key, transactions.enlist(waiting), 20_000, {
      idleMs: 900_000,
    });
    await expect
      .poll(async () => {
        const { rowCount } = await database.store(1).pool.query({
          text: `SELECT FROM pg_locks JOIN pg_database d ON d.oid = database
            WHERE datname = current_database() AND locktype = 'advisory' AND NOT granted`,
        });
        return rowCount;
      })
      .toBe(1);
    await holder.query('ROLLBACK');
    expect(await waited).toBe('new');
    expect(await limitOf(waiting)).toBe('15min');
  });
});
