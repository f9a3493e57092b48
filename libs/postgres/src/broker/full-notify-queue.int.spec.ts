import { startEmbeddedPostgres, type EmbeddedPostgres } from '@sagaz/test-support';
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { brokerOn, hasty, Inbox, message } from './broker.fixture.js';

describe('a server whose queue of notifications is full', () => {
  let server: EmbeddedPostgres;

  beforeAll(async () => {
    server = await startEmbeddedPostgres({ flags: { max_notify_queue_pages: 64 } });
  });
  afterAll(() => server.stop());

  it('takes messages all the same, which are then not announced', async () => {
    const consumer = await brokerOn(server.url, { pollIntervalMs: 50 });
    const publisher = await brokerOn(server.url, { clock: hasty });
    const inbox = new Inbox();
    const [sleeper, filler] = [0, 1].map(() => new pg.Client({ connectionString: server.url }));
    if (sleeper === undefined || filler === undefined) throw new Error('two clients');
    const publish = async (): Promise<string | undefined> =>
      (await publisher.publish([message('news', 'k')]))[0]?.kind;
    try {
      await consumer.subscribe({
        group: 'readers',
        topics: ['news'],
        concurrency: 1,
        handle: inbox.handle,
      });
      // From the second one on it is known who is to be told.
      expect([await publish(), await publish()]).toEqual(['acknowledged', 'acknowledged']);
      await inbox.count(2);
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
      await inbox.count(3);
    } finally {
      await Promise.all([consumer.close(), publisher.close()]);
      await Promise.all([sleeper.end(), filler.end()]);
    }
  });
});
