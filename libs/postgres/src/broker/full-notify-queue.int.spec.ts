import { newId, systemClock, type Logger } from '@sagaz/core';
import { startEmbeddedPostgres, type EmbeddedPostgres } from '@sagaz/test-support';
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { postgresBroker } from './index.js';

const quiet: Logger = {
  debug: () => undefined,
  info: () => undefined,
  warn: () => undefined,
  error: () => undefined,
};

describe('a server whose queue of notifications is full', () => {
  let server: EmbeddedPostgres;

  beforeAll(async () => {
    server = await startEmbeddedPostgres({ flags: { max_notify_queue_pages: 64 } });
  });
  afterAll(() => server.stop());

  it('takes messages all the same, which are then not announced', async () => {
    const driver = postgresBroker({ url: server.url, migrate: true, pollIntervalMs: 50 });
    const tools = { service: 'spec', logger: quiet, clock: systemClock };
    const [consumer, publisher] = [await driver.create(tools), await driver.create(tools)];
    const [sleeper, filler] = [0, 1].map(() => new pg.Client({ connectionString: server.url }));
    if (sleeper === undefined || filler === undefined) throw new Error('two clients');
    const handled: string[] = [];
    let changed: () => void = () => undefined;
    const count = async (n: number): Promise<void> => {
      while (handled.length < n) await new Promise<void>((resolve) => (changed = resolve));
    };
    const publish = async (): Promise<string> => {
      const [outcome] = await publisher.publish([
        {
          id: newId(),
          tenant: '',
          topic: 'news',
          key: 'k',
          type: 'news.came',
          source: 'spec',
          time: '2026-01-01T00:00:00.000Z',
          contentType: 'application/json',
          payload: Buffer.from('{}'),
          headers: {},
        },
      ]);
      return outcome?.kind ?? 'nothing';
    };
    try {
      await consumer.subscribe({
        group: 'readers',
        topics: ['news'],
        concurrency: 1,
        handle: ({ message }) => {
          handled.push(message.id);
          changed();
          return Promise.resolve({ kind: 'done' });
        },
      });
      // From the second one on it is known who is to be told.
      expect([await publish(), await publish()]).toEqual(['acknowledged', 'acknowledged']);
      await count(2);
      await sleeper.connect();
      await filler.connect();
      // A listener inside of a transaction reads nothing, and the server keeps it all for it.
      await sleeper.query('LISTEN fill');
      await sleeper.query('BEGIN');
      await sleeper.query('SELECT 1');
      const fill = filler.query(
        `DO $$ BEGIN
          FOR i IN 1..1000 LOOP
            PERFORM pg_notify('fill', i || repeat('x', 7900));
            COMMIT;
          END LOOP;
        END $$`,
      );
      await expect(fill).rejects.toMatchObject({ code: '54000' });
      expect(await publish()).toBe('acknowledged');
      await count(3);
    } finally {
      await Promise.all([consumer.close(), publisher.close()]);
      await Promise.all([sleeper.end(), filler.end()]);
    }
  });
});
