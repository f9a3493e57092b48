import { createDatabase, describeEachPostgres, type TestDatabase } from '@sagaz/test-support';
import pg from 'pg';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { run } from './run.js';

describeEachPostgres('sagaz landing', (server) => {
  let db: TestDatabase;
  beforeEach(async () => {
    db = await createDatabase(server);
    await sagaz('migrate');
  });
  afterEach(() => db.drop());

  async function sagaz(...args: string[]): Promise<{ code: number; out: string; err: string }> {
    const [out, err]: [string[], string[]] = [[], []];
    const code = await run(args, {
      env: { SAGAZ_DATABASE_URL: db.url, NO_COLOR: '1' },
      out: (line) => void out.push(line),
      err: (line) => void err.push(line),
    });
    return { code, out: out.join('\n'), err: err.join('\n') };
  }

  async function query(text: string): Promise<pg.QueryResult> {
    const client = new pg.Client({ connectionString: db.url });
    await client.connect();
    try {
      return await client.query(text);
    } finally {
      await client.end();
    }
  }

  /** Has messages landed for a group that no process serves. */
  async function land(group: string): Promise<void> {
    const command = JSON.stringify({
      'sagaz-role': 'command',
      'sagaz-saga-id': 'saga-1',
      'sagaz-step': 'reserve',
      'sagaz-idempotency-key': 'saga-1:reserve',
      'sagaz-reply-to': 'orders.replies',
    });
    await query(`
      INSERT INTO sagaz.inbox (tenant, group_name, source, id, state)
      SELECT '', '${group}', 'shop', 'm' || n, 'landed' FROM generate_series(1, 3) AS n;
      INSERT INTO sagaz.message
        (queue, lane, slot, key_hash, id, tenant, topic, key, type, source, time, content_type, headers, payload)
      SELECT sagaz.open_queue('landing:${group}'), 0, 1, n, 'm' || n, '', 'order', 'k' || n, 'order.placed', 'shop', '',
        'application/json', CASE n WHEN 1 THEN '${command}' ELSE '{}' END::json, '{}'
      FROM generate_series(1, 3) AS n`);
  }

  it('lists what waits, and names the remedies in the status', async () => {
    expect((await sagaz('landing', 'list')).out).toContain('Nothing waits');
    await land('billing');
    expect((await sagaz('landing', 'list')).out).toMatch(
      /group billing: 3 message\(s\) wait, the oldest for \d+ s; none of its processes lives/,
    );
    expect(JSON.parse((await sagaz('landing', 'list', '--json')).out)).toMatchObject({
      groups: [{ group: 'billing', waiting: 3, served: false }],
    });
    const { out } = await sagaz('status');
    expect(out).toMatch(/landing queue of group billing: 3 message\(s\)/);
    expect(out).toContain('npx sagaz landing rename billing <new name>');
    expect(out).toContain('npx sagaz landing retire billing');
  });

  it('renames a group, and refuses that while a process of it lives', async () => {
    await land('billing');
    await query(`INSERT INTO sagaz.slot_member (queue, incarnation, expires_at)
      VALUES ('landing:billing', 'a', clock_timestamp() + interval '1 hour')`);
    const refused = await sagaz('landing', 'rename', 'billing', 'invoices');
    expect(refused).toMatchObject({ code: 1 });
    expect(refused.err).toMatch(/'billing' has 1 living process\(es\), so nothing was renamed/);
    await query('DELETE FROM sagaz.slot_member');
    const wrong = await sagaz('landing', 'rename', 'billing', 'in voices');
    expect(wrong.err).toMatch(/'in voices'[\s\S]*Use letters/);
    const renamed = await sagaz('landing', 'rename', 'billing', 'invoices', '--json');
    expect(JSON.parse(renamed.out)).toMatchObject({
      renamed: 'billing',
      to: 'invoices',
      messages: 3,
    });
    expect((await sagaz('landing', 'list')).out).toMatch(/group invoices: 3 message\(s\)/);
    const again = await sagaz('landing', 'rename', 'billing', 'invoices');
    expect(again.err).toContain("The store has no consumer group 'billing'");
  });

  it('retires a group: dead letters, and an answer to each command', async () => {
    await land('billing');
    const retired = await sagaz('landing', 'retire', 'billing', '--json');
    expect(JSON.parse(retired.out)).toMatchObject({ retired: 'billing', messages: 3 });
    const { rows } = await query(
      'SELECT queue, status, reason, key, headers FROM sagaz.message_readable ORDER BY queue, seq',
    );
    expect(rows.slice(0, 3)).toMatchObject(
      Array(3).fill({ queue: 'landing:billing', status: 'dead_letter', reason: 'retired' }),
    );
    expect(rows.slice(3), 'one reply, to the only command').toMatchObject([
      { key: 'saga-1', headers: { 'sagaz-reply-status': 'failed' } },
    ]);
    expect((await query('SELECT DISTINCT state FROM sagaz.inbox')).rows).toEqual([
      { state: 'dead' },
    ]);
    expect((await sagaz('landing', 'retire', 'billing')).out).toContain('0 message(s)');
    expect((await sagaz('landing', 'retire', 'orders')).err).toContain(
      "no consumer group 'orders'",
    );
  });
});
