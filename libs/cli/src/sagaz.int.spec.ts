import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { createDatabase, describeEachPostgres, type TestDatabase } from '@sagaz/test-support';
import pg from 'pg';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';

const bin = fileURLToPath(new URL('../bin/sagaz.js', import.meta.url));

interface Ended {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** The built command in a process of its own, as npx runs it. */
function sagaz(args: readonly string[], env: Record<string, string> = {}): Promise<Ended> {
  const { SAGAZ_DATABASE_URL: _, ...rest } = process.env;
  return new Promise((resolve) => {
    const options = { env: { ...rest, NO_COLOR: '1', ...env } };
    const child = execFile(process.execPath, [bin, ...args], options, (_error, stdout, stderr) => {
      resolve({ code: child.exitCode ?? -1, stdout, stderr });
    });
  });
}

describe('sagaz', () => {
  it('says what it can do, and ends well when asked', async () => {
    const { code, stdout } = await sagaz(['--help']);
    expect(code).toBe(0);
    expect(stdout).toMatch(
      /migrate[\s\S]*status[\s\S]*sql[\s\S]*SAGAZ_DATABASE_URL[\s\S]*Exit codes/,
    );
    expect((await sagaz(['--version'])).stdout.trim()).toMatch(/^\d+\.\d+\.\d+/);
  });

  it.each([
    [['nonsense'], /unknown command/],
    [['migrate', '--nonsense'], /unknown option/],
    [['migrate', '--wait', 'soon'], /number of seconds/],
    [['partition', '--days-ahead', '3'], /number of days from 8 to 3650/],
    [['partition', '--wait', 'soon'], /number of seconds/],
    [['migrate', '--wait', '1e9'], /seconds from 0 to 86400, which is a day/],
    [['migrate', '--wait', 'Infinity'], /seconds from 0 to 86400, which is a day/],
    [['migrate', '--url', 'postgres://x/y', '--schema', ''], /'' cannot be the name/],
    [['migrate'], /SAGAZ_DATABASE_URL or pass --url/],
    [['migrate', '--url', 'mysql://x/y'], /does not begin with "postgres:\/\/"/],
    [['migrate', '--url', 'postgres://x/y', '--schema', 'a-b'], /'a-b' cannot be the name/],
  ])('refuses %j with exit code 2 and what to do', async (args, message) => {
    const { code, stderr, stdout } = await sagaz(args);
    expect(stderr).toMatch(message);
    expect(stdout).toBe('');
    expect(code).toBe(2);
  });

  it('tells a script what it did not understand', async () => {
    const { code, stdout } = await sagaz(['status', '--json', '--nonsense']);
    expect(JSON.parse(stdout)).toMatchObject({
      error: { message: expect.stringContaining('--nonsense') as unknown },
    });
    expect(code).toBe(2);
  });

  it('ends with 4 when nobody answers, and does not tell the password', async () => {
    const url = 'postgres://me:top-secret@127.0.0.1:1/shop';
    const { code, stdout, stderr } = await sagaz(['status', '--json'], { SAGAZ_DATABASE_URL: url });
    expect(code).toBe(4);
    expect(stderr).toMatch(
      /No connection to the database 127\.0\.0\.1:1\/shop.*Check that it runs/,
    );
    expect(JSON.parse(stdout)).toMatchObject({ error: { code: 'SAGAZ_DATABASE_UNREACHABLE' } });
    expect(stdout + stderr).not.toContain('top-secret');
  });
});

describeEachPostgres('sagaz on a database', (server) => {
  let db: TestDatabase;
  let env: Record<string, string>;
  beforeEach(async () => {
    db = await createDatabase(server);
    env = { SAGAZ_DATABASE_URL: db.url };
  });
  afterEach(() => db.drop());

  async function query(text: string): Promise<pg.QueryResult> {
    const client = new pg.Client({ connectionString: db.url });
    await client.connect();
    try {
      return await client.query(text);
    } finally {
      await client.end();
    }
  }

  it('shows what is missing, applies it, and then finds nothing to do', async () => {
    const before = await sagaz(['status'], env);
    expect(before).toMatchObject({ code: 3 });
    expect(before.stdout).toMatch(/0001_sagas[\s\S]*missing[\s\S]*npx sagaz migrate/);
    expect(before.stdout, 'no colours in what is piped').not.toContain('\u001b');
    const broker = await sagaz(['status', '--broker', '--schema', 'b'], env);
    expect(broker.stdout).toContain('Run `npx sagaz migrate --broker --schema b`.');
    const first = await sagaz(['migrate'], env);
    expect(first).toMatchObject({ code: 0, stderr: '' });
    expect(first.stdout).toMatch(/applied 0001_sagas/);
    const again = await sagaz(['migrate', '--json'], env);
    expect(JSON.parse(again.stdout)).toMatchObject({ schema: 'sagaz', applied: [] });
    const after = await sagaz(['status', '--json'], env);
    expect(after.code).toBe(0);
    expect(JSON.parse(after.stdout)).toMatchObject({ upToDate: true, pending: [] });
  });

  it('partitions the tables once, then makes the days that are missing, and leaves the schema up to date', async () => {
    await sagaz(['migrate'], env);
    const first = await sagaz(['partition', '--days-ahead', '9', '--json'], env);
    expect(first).toMatchObject({ code: 0, stderr: '' });
    const converted = ['saga_ended', 'saga_journal', 'saga_output'];
    expect(JSON.parse(first.stdout)).toMatchObject({ schema: 'sagaz', converted });
    const again = await sagaz(['partition', '--days-ahead', '10'], env);
    expect(again.stdout).toMatch(/^3 partitions were added to schema sagaz/);
    expect((await sagaz(['status', '--json'], env)).code).toBe(0);
    const { rows } = await query("SELECT count(*) AS n FROM pg_class WHERE relkind = 'p'");
    expect(rows).toEqual([{ n: '3' }]);
  });

  it('takes an empty variable for one that is not set', async () => {
    const empty = { ...env, SAGAZ_SCHEMA: ' ' };
    const { code, stdout } = await sagaz(['migrate', '--json'], empty);
    expect(code).toBe(0);
    expect(JSON.parse(stdout)).toMatchObject({ schema: 'sagaz' });
    const grants = await sagaz(
      ['broker', 'grant', '--role', 'orders', '--publish', 'order'],
      empty,
    );
    expect(grants.stdout).toContain('sagaz_broker');
    const groups = await sagaz(['groups', 'unserved', '--json'], empty);
    expect(groups.stderr).toContain('sagaz_broker');
    const nowhere = await sagaz(['status'], { SAGAZ_DATABASE_URL: '' });
    expect(nowhere.stderr).toMatch(/SAGAZ_DATABASE_URL or pass --url/);
  });

  it('does not wait for ever when it is told not to wait', async () => {
    const blocker = new pg.Client({ connectionString: db.url });
    await blocker.connect();
    try {
      await blocker.query('BEGIN; CREATE SCHEMA sagaz');
      const { code, stderr } = await sagaz(['migrate', '--wait', '0'], env);
      expect(stderr).toContain('could not be migrated within 0 ms');
      expect(code).toBe(1);
    } finally {
      await blocker.end();
    }
  });

  it('says which migration is missing in the middle, and changes nothing', async () => {
    await sagaz(['migrate'], env);
    await query("DELETE FROM sagaz.migration WHERE name = '0002_queue'");
    const status = await sagaz(['status'], env);
    expect(status.code).toBe(3);
    expect(status.stdout).toMatch(/0002_queue[^\n]*missing, though later ones are applied/);
    const migrate = await sagaz(['migrate'], env);
    expect(migrate.code).toBe(1);
    expect(migrate.stderr).toMatch(/lacks the migration 0002_queue[\s\S]*later 0004_/);
  });

  it('applies once from five processes at once', async () => {
    const runs = await Promise.all(
      Array.from({ length: 5 }, () => sagaz(['migrate', '--json'], env)),
    );
    expect(runs.map(({ code }) => code)).toEqual([0, 0, 0, 0, 0]);
    const applied = runs.map(({ stdout }) => (JSON.parse(stdout) as { applied: string[] }).applied);
    expect(applied.filter((names) => names.length > 0)).toHaveLength(1);
  });

  it('prints a script that makes the schema up to date', async () => {
    const { code, stdout } = await sagaz(['sql', '--schema', 'other'], env);
    expect(code).toBe(0);
    await query(stdout);
    expect(await sagaz(['status', '--schema', 'other'], env)).toMatchObject({ code: 0 });
  });

  it("keeps the broker's tables in a schema of their own", async () => {
    expect(await sagaz(['migrate', '--broker'], env)).toMatchObject({ code: 0 });
    const { rows } = await query(
      "SELECT to_regnamespace('sagaz') AS store, to_regclass('sagaz_broker.migration') AS broker",
    );
    expect(rows).toEqual([{ store: null, broker: 'sagaz_broker.migration' }]);
  });

  // Seven processes, each of which takes seconds to start on a busy machine.
  it(
    'shows with the status what waits in the store and the broker and has nobody',
    {
      timeout: 120_000,
    },
    async () => {
      await sagaz(['migrate'], env);
      await sagaz(['migrate', '--broker'], env);
      const calm = await sagaz(['status', '--json'], env);
      expect(JSON.parse(calm.stdout)).toMatchObject({ unserved: { queues: [], sagas: [] } });
      await query(
        `WITH d AS (INSERT INTO sagaz.definition (name, version) VALUES ('order', 2) RETURNING number)
        INSERT INTO sagaz.saga (id, definition, tenant, status, revision, epoch, wake_at)
        SELECT gen_random_uuid(), number, '', 'waiting', 0, 1, clock_timestamp() - interval '1 hour'
        FROM d CROSS JOIN generate_series(1, 3)`,
      );
      await query(
        `INSERT INTO sagaz.message (queue, slot, id, tenant, topic, key, type, source, time, content_type, headers, payload)
        VALUES (1, 1, 'm', '', 't', 'k', 't.x', 's', '', '', '{}', '')`,
      );
      await query(`SELECT sagaz_broker.subscribe('billing', '{order}', '{1}')`);
      await query(
        `SELECT sagaz_broker.publish('{1}', '{1}', '{id-1}', '{""}', '{order}', '{k}', '{t}', '{s}', '{now}', '{c}', '{"{}"}', '{"x"}')`,
      );
      const store = await sagaz(['status'], env);
      expect(store).toMatchObject({ code: 0, stderr: '' });
      expect(store.stdout).toMatch(
        /outbox: .* no relay lives\. Start a process with the role relay/,
      );
      expect(store.stdout).toMatch(/saga order, version 2: 3 due for up to 36\d\d s.*Deploy it/);
      const broker = await sagaz(['status', '--broker'], env);
      expect(broker.stdout).toMatch(/group billing: .*npx sagaz groups remove billing/);
      const json = await sagaz(['status', '--broker', '--json'], env);
      expect(JSON.parse(json.stdout)).toMatchObject({
        unserved: { queues: [{ kind: 'group', name: 'billing' }] },
      });
    },
  );

  it('lists groups that nobody serves, and removes one', async () => {
    await sagaz(['migrate', '--broker'], env);
    await query(`SELECT sagaz_broker.subscribe('billing', '{order}', '{1}')`);
    await query(
      `SELECT sagaz_broker.publish('{1}', '{1}', '{id-1}', '{""}', '{order}', '{k}', '{t}', '{s}', '{now}', '{c}', '{"{}"}', '{"x"}')`,
    );
    const before = await sagaz(['groups', 'unserved'], env);
    expect(before).toMatchObject({ code: 0, stderr: '' });
    expect(before.stdout).toContain('group billing: the oldest message has waited for');
    const json = await sagaz(['groups', 'unserved', '--json'], env);
    expect(JSON.parse(json.stdout)).toMatchObject({ queues: [{ kind: 'group', name: 'billing' }] });
    const removed = await sagaz(['groups', 'remove', 'billing', '--json'], env);
    expect(JSON.parse(removed.stdout)).toMatchObject({ removed: 'billing', messages: 1 });
    expect((await sagaz(['groups', 'unserved'], env)).stdout).toContain(
      'Every group with waiting messages is served',
    );
    const again = await sagaz(['groups', 'remove', 'billing'], env);
    expect(again).toMatchObject({ code: 1 });
    expect(again.stderr).toContain("no consumer group 'billing'");
  });

  it('says what to do about a password, a database and a right that is missing', async () => {
    const wrong = new URL(db.url);
    wrong.pathname = '/no_such_database';
    const absent = await sagaz(['status'], { SAGAZ_DATABASE_URL: wrong.href });
    expect(absent.code).toBe(4);
    expect(absent.stderr).toMatch(/"no_such_database" does not exist/);
    const role = `poor_${Math.random().toString(36).slice(2, 10)}`;
    await query(`CREATE ROLE ${role} LOGIN PASSWORD 'poor-secret'`);
    const poor = new URL(db.url);
    poor.username = role;
    poor.password = 'poor-secret';
    const refused = await sagaz(['migrate'], { SAGAZ_DATABASE_URL: poor.href });
    await query(`DROP ROLE ${role}`);
    expect(refused.code).toBe(1);
    expect(refused.stderr).toMatch(
      /may not migrate the schema "sagaz"[\s\S]*CREATE SCHEMA sagaz AUTHORIZATION/,
    );
    expect(refused.stderr).not.toContain('poor-secret');
  });
});
