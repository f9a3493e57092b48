import { lineOf, type InboxKey, type Message } from '@sagaz/core';
import { describeEachPostgres } from '@sagaz/test-support';
import pg from 'pg';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { InboxDatabase } from './inbox.fixture.js';

const WAIT_MS = 10_000;

function messageOf(group: string, id: string): { key: InboxKey; message: Message } {
  const key = { tenant: '', group, source: 'shop', id };
  const headers = {};
  const payload = new Uint8Array();
  const rest = { type: 'order.placed', time: '', contentType: 'text/plain', payload, headers };
  return { key, message: { ...rest, id, tenant: '', source: 'shop', topic: 'order', key: 'k' } };
}

describeEachPostgres('a claim that has waited for its key', (server) => {
  let database: InboxDatabase;
  beforeAll(async () => {
    database = await InboxDatabase.open(server);
  });
  afterAll(() => database.drop());

  it.each(['READ COMMITTED', 'REPEATABLE READ', 'SERIALIZABLE'])(
    'passes nothing that landed meanwhile, in a transaction of isolation %s',
    async (level) => {
      const [{ inbox, transactions }, other] = [database.store(0), database.store(1)];
      const group = level.toLowerCase().replace(' ', '-');
      const [running, earlier, later] = ['1', '2', '3'].map((id) => messageOf(group, id));
      if (running === undefined || earlier === undefined || later === undefined) return;
      const [handler, waiting] = [database.url, database.url].map(
        (connectionString) => new pg.Client({ connectionString }),
      );
      if (handler === undefined || waiting === undefined) return;
      const claim = (client: pg.Client, { key, message }: typeof later) => {
        const line = lineOf(key, { message });
        const options = line === undefined ? {} : { line };
        return inbox.claim(key, transactions.enlist(client), WAIT_MS, options);
      };
      try {
        await Promise.all([handler.connect(), waiting.connect()]);
        await handler.query('BEGIN');
        expect(await claim(handler, running)).toBe('new');
        await waiting.query(`BEGIN ISOLATION LEVEL ${level}`);
        const claimed = claim(waiting, later).catch((error: unknown) => error);
        let waits = 0;
        while (waits === 0) {
          const { rowCount } = await other.pool.query({
            text: `SELECT FROM pg_locks WHERE locktype = 'advisory' AND NOT granted`,
          });
          waits = rowCount ?? 0;
        }
        const { key, message } = earlier;
        const line = lineOf(key, { message });
        await other.inbox.land([{ key, message, line, attempts: 0, retry: null }], WAIT_MS);
        await handler.query('COMMIT');
        const state = await claimed;
        if (level === 'READ COMMITTED') expect(state).toBe('held');
        else expect(state).toMatchObject({ code: 'SAGAZ_STALE_SNAPSHOT' });
        await waiting.query('ROLLBACK');
        await waiting.query(`BEGIN ISOLATION LEVEL ${level}`);
        expect(await claim(waiting, later), 'the next run sees it').toBe('held');
      } finally {
        await Promise.all([handler.end(), waiting.end()]);
      }
    },
  );
});
