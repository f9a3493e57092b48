import { LandedRowLostError, lineOf, type InboxKey, type Message } from '@sagaz/core';
import { describeEachPostgres } from '@sagaz/test-support';
import pg, { type QueryResult, type QueryResultRow } from 'pg';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { SagazPool, schemaName, type Queryable, type Statement } from '../connection/index.js';
import { KeptPlans } from './kept-plans.fixture.js';
import { InboxClaims } from './inbox-claims.js';
import { InboxDatabase } from './inbox.fixture.js';
import { InboxDeadLetters } from './inbox-dead-letters.js';
import { PgLandingGroups } from './landing-groups.js';
import { Landings } from './landings.js';

const schema = schemaName('sagaz');
const quiet = { debug() {}, info() {}, warn() {}, error() {} };
const ROWS = 100_000;
const WAIT_MS = 1_000;

/** A pool all of whose statements are explained. */
class ExplainingPool extends SagazPool {
  constructor(
    url: string,
    readonly plans: KeptPlans,
  ) {
    super({
      source: { kind: 'url', url },
      applicationName: 'plans',
      connectTimeoutMs: 5_000,
      statementTimeoutMs: 30_000,
      max: 1,
      logger: quiet,
    });
  }

  override for(): Queryable {
    return this.plans;
  }

  override query<R extends QueryResultRow>(statement: Statement): Promise<QueryResult<R>> {
    return this.plans.query<R>(statement);
  }
}

function messageOf(key: InboxKey): Message {
  return {
    id: key.id,
    tenant: key.tenant,
    source: key.source,
    topic: 'order',
    key: 'k',
    type: 'order.placed',
    time: '',
    contentType: 'application/json',
    payload: new Uint8Array([123, 125]),
    headers: {},
  };
}

describeEachPostgres('statements of landing queues', (server) => {
  let database: InboxDatabase;
  let client: pg.Client;
  let plans: KeptPlans;
  let pool: ExplainingPool;

  beforeAll(async () => {
    database = await InboxDatabase.open(server);
    client = new pg.Client({ connectionString: database.url });
    await client.connect();
    // Statistics that say that the table is empty, which nothing changes later.
    await client.query('ALTER TABLE sagaz.message SET (autovacuum_enabled = off)');
    await client.query('VACUUM ANALYZE sagaz.message');
    await client.query('SET plan_cache_mode = force_generic_plan');
    plans = new KeptPlans(client);
    pool = new ExplainingPool(database.url, plans);
  });
  afterAll(async () => {
    await client.end();
    await pool.end();
    await database.drop();
  });

  /** Every statement that names the table, in a transaction that is rolled back. */
  const calls: Readonly<Record<string, () => Promise<unknown>>> = {
    'a claim of the broker': () => claim({}),
    'a claim of the broker that is held': () => claim({ id: 'held' }),
    'a claim of a landed message': () => claim({ landed: '1' }),
    landing: () => landings().land([landingOf('new')], WAIT_MS),
    'the end of a landed message': () => landings().finish(rowOf('landed'), plans).catch(isLost),
    'a burial of the broker': () =>
      landings().buryNew(plans, keyOf('dead'), deathOf('dead'), WAIT_MS, undefined),
    'a burial of a landed message': () =>
      landings()
        .buryLanded(plans, keyOf('x'), deathOf('x'), WAIT_MS, undefined, rowOf('x'))
        .catch(isLost),
    'the list of dead letters': () => letters().list({ group: 'g', limit: 10 }),
    'a replay': () => letters().replay([keyOf('x')]),
    'a discard': () => letters().discard([keyOf('x')]),
    'unserved queues': () => groups().unserved(),
    backlogs: () => groups().backlog(),
    sizes: () => landings().size('g', 1_000),
    'a retirement': () =>
      groups().retire(plans, 'other', { reason: 'retired', error: 'Error: no' }, 10),
  };

  const landings = (): Landings => made.landings;
  const letters = (): InboxDeadLetters => new InboxDeadLetters(pool, schema, undefined);
  const groups = (): PgLandingGroups => new PgLandingGroups(pool, schema);
  const made = {
    get landings(): Landings {
      return (kept.landings ??= new Landings({ pool, schema, leases: plans, wakeUps: undefined }));
    },
    get claims(): InboxClaims {
      return (kept.claims ??= new InboxClaims(schema));
    },
  };
  const kept: { landings?: Landings; claims?: InboxClaims } = {};

  const keyOf = (id: string): InboxKey => ({ tenant: '', group: 'g', source: 'shop', id });
  const deathOf = (id: string) => ({
    message: messageOf(keyOf(id)),
    attempts: 1,
    reason: 'exhausted',
    error: 'Error: no',
  });
  const landingOf = (id: string) => ({
    key: keyOf(id),
    message: messageOf(keyOf(id)),
    line: lineOf(keyOf(id), { message: messageOf(keyOf(id)) }),
    attempts: 0,
    retry: null,
  });
  const rowOf = (id: string) => ({
    key: keyOf(id),
    incarnation: 'me',
    lease: { slot: 1, epoch: 1, version: 0, crashes: 0, suspect: null },
    seq: '1',
  });
  const isLost = (error: unknown): void => {
    if (!(error instanceof LandedRowLostError)) throw error;
  };
  function claim({ id = 'new', landed }: { id?: string; landed?: string }): Promise<unknown> {
    const { line } = landingOf(id);
    return made.claims.claim(plans, keyOf(id), WAIT_MS, {
      ...(line === undefined ? {} : { line }),
      ...(landed === undefined ? {} : { landed }),
    });
  }

  /** The statements that read all messages, by call. */
  async function scans(): Promise<Readonly<Record<string, readonly string[]>>> {
    const found: Record<string, readonly string[]> = {};
    for (const [name, call] of Object.entries(calls)) {
      const scanned = await scannedBy(call);
      if (scanned.length > 0) found[name] = scanned;
    }
    return found;
  }

  async function scannedBy(call: () => Promise<unknown>): Promise<readonly string[]> {
    await client.query('BEGIN');
    try {
      return await plans.scannedBy(call);
    } finally {
      await client.query('ROLLBACK');
    }
  }

  it('are planned along an index while the table is empty', async () => {
    await client.query(`SELECT sagaz.open_queue('landing:g'), sagaz.open_queue('landing:other')`);
    expect(await scans()).toEqual({});
  });

  it.each(['with the plans of the empty table', 'with statistics of now'])(
    `read no whole table beside ${String(ROWS)} messages, %s`,
    async (statistics) => {
      if (statistics === 'with statistics of now') await client.query('ANALYZE sagaz.message');
      else {
        await client.query(
          `INSERT INTO sagaz.message (queue, lane, slot, key_hash, due_at, id, tenant, topic, key, type, source, time,
            content_type, headers, payload)
          SELECT q.id, n % 3, n % 256, n, CASE n % 3 WHEN 1 THEN clock_timestamp() END, 'id-' || n, '', 'order', 'k' || n,
            't', 's', '', '', '{}', convert_to(rpad('x', 200), 'UTF8')
          FROM sagaz.queue q, generate_series(1, $1::int) AS n WHERE q.name = 'landing:other'`,
          [ROWS],
        );
      }
      expect(await scans()).toEqual({});
    },
  );

  it('are planned anew for a table that was restored, at its first thousand messages', async () => {
    const { inbox } = database.store(0);
    const fill = async (rows: number): Promise<number> => {
      await client.query(
        `INSERT INTO sagaz.message (queue, lane, slot, id, tenant, topic, key, type, source, time, content_type, headers, payload)
        SELECT q.id, 0, 1, 'id', '', 'order', 'k', 't', 's', '', '', '{}', 'x'
        FROM sagaz.queue q, generate_series(1, $1::int) WHERE q.name = 'landing:g'`,
        [rows],
      );
      await inbox.landedSize('g', 10_000);
      const { rows: found } = await client.query<{ relpages: number }>(
        `SELECT relpages FROM pg_class WHERE oid = 'sagaz.message'::regclass`,
      );
      return found[0]?.relpages ?? 0;
    };
    await client.query('TRUNCATE sagaz.message');
    expect(await fill(999)).toBe(0);
    expect(await fill(1)).toBeGreaterThan(0);
  });
});
