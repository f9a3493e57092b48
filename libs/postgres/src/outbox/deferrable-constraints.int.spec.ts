import { describeEachPostgres } from '@sagaz/test-support';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { DeferrableConstraints } from './deferrable-constraints.js';
import { OutboxDatabase } from './outbox.fixture.js';

describeEachPostgres('constraints that can be deferred', (server) => {
  let database: OutboxDatabase;
  beforeAll(async () => {
    database = await OutboxDatabase.create(server);
  });
  afterAll(() => database.drop());

  it('are taken to exist until the database has said that there are none, and again once one is made', async () => {
    const pool = database.pool();
    const constraints = new DeferrableConstraints(pool, 0);
    expect(constraints.exist).toBe(true);
    await expect.poll(() => constraints.exist).toBe(false);
    await pool.query({
      text: `CREATE TABLE parent (id int PRIMARY KEY);
        CREATE TABLE child (parent int REFERENCES parent DEFERRABLE)`,
    });
    await expect.poll(() => constraints.exist).toBe(true);
  });

  it('are taken to exist while nobody answers', async () => {
    const away = { query: () => Promise.reject(new Error('away')) };
    const constraints = new DeferrableConstraints(away, 0);
    expect(constraints.exist).toBe(true);
    await Promise.resolve();
    expect(constraints.exist).toBe(true);
  });
});
