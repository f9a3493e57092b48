import { randomBytes } from 'node:crypto';
import { Relay, replyMail, SagaEngine, systemClock, type Store } from '@sagaz/core';
import { outboxMessage, Program } from '@sagaz/core/testing';
import { createDatabase, describeEachPostgres, type TestDatabase } from '@sagaz/test-support';
import pg from 'pg';
import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { postgres } from '../index.js';
import { MissingPrivilegesError } from './privileges.error.js';

const logger = { debug() {}, info() {}, warn() {}, error() {} };

describeEachPostgres('a role that owns nothing', (server) => {
  let db: TestDatabase;
  let role: string;
  let store: Store;
  const open: Store[] = [];

  beforeEach(async () => {
    db = await createDatabase(server);
    await (await create(db.url)).start({ migrate: true });
    role = `poor ${randomBytes(4).toString('hex')}`;
    // Functions, too: in a hardened database nobody may call one by default.
    await run(`CREATE ROLE "${role}" LOGIN PASSWORD 'x'; GRANT USAGE ON SCHEMA sagaz TO "${role}";
      GRANT SELECT ON sagaz.migration TO "${role}";
      REVOKE EXECUTE ON ALL FUNCTIONS IN SCHEMA sagaz FROM PUBLIC`);
    const url = new URL(db.url);
    url.username = role;
    url.password = 'x';
    store = await create(url.href);
  });
  afterEach(async () => {
    await Promise.all(open.splice(0).map((one) => one.close()));
    await run(`DROP OWNED BY "${role}"; DROP ROLE "${role}"`);
    await db.drop();
  });

  async function create(url: string): Promise<Store> {
    const made = await postgres({ url }).create({ service: 'spec', logger, clock: systemClock });
    open.push(made);
    return made;
  }

  async function run(sql: string): Promise<void> {
    const client = new pg.Client({ connectionString: db.url });
    await client.connect();
    await client.query(sql).finally(() => client.end());
  }

  it('is told every grant that its roles need, and works with exactly these', async () => {
    const roles = ['engine', 'relay', 'consume'] as const;
    const refused: unknown = await store
      .start({ migrate: false, roles })
      .catch((error: unknown) => error);
    if (!(refused instanceof MissingPrivilegesError)) throw refused;
    expect(refused.message).toContain(`GRANT SELECT, INSERT, UPDATE, DELETE ON "sagaz".inbox TO`);
    expect(refused.message).toContain(`GRANT EXECUTE ON FUNCTION "sagaz".participant_begin TO`);
    expect(refused.role).toBe(role);
    await run(refused.grants.join('\n'));
    await store.start({ migrate: false, roles });

    const program = new Program({ name: 'p', steps: { a: {}, b: { dependsOn: ['a'] } } });
    const steps = program.instance();
    const engine = new SagaEngine({
      service: 'spec',
      store,
      definitions: [program.definition],
      resolve: () => steps,
      logger,
    });
    await engine.run();
    const handle = await engine.start(program.definition, 1, { idempotencyKey: 'k' });
    expect(await handle.outcome()).toMatchObject({ status: 'completed' });
    await engine.cancel(handle.id).catch(() => undefined);

    const published: string[] = [];
    const relay = new Relay({
      outbox: store.outbox,
      broker: {
        name: 'spec',
        orderedBatches: true,
        keepsRetries: true,
        subscribe: () => Promise.reject(new Error('not asked for here')),
        ensure: () => Promise.resolve([]),
        health: () => Promise.resolve({ state: 'up', since: new Date(0), forMs: 0 }),
        lag: () => Promise.resolve([]),
        close: () => Promise.resolve(),
        publish: (batch) => {
          published.push(...batch.map(({ key }) => key));
          return Promise.resolve(batch.map(() => ({ kind: 'acknowledged' })));
        },
      },
      clock: systemClock,
      logger,
      wakeUps: store.wakeUps,
      replyMail,
    });
    await relay.start();
    await store.outbox.append([outboxMessage('a', 1)]);
    await store.transactions.run(async (transaction) => {
      await store.outbox.append([outboxMessage('b', 1)], transaction);
      await store.outbox.append([outboxMessage('c', 1), outboxMessage('d', 1)], transaction);
    });
    await vi.waitFor(() => expect(published.sort()).toEqual(['a', 'b', 'c', 'd']), {
      timeout: 20_000,
    });
    await vi.waitFor(
      async () => expect((await store.outbox.stats()).byStatus.get('pending') ?? 0).toBe(0),
      {
        timeout: 20_000,
      },
    );
    expect(relay.problem()).toBeNull();
    expect(engine.problem).toBeNull();

    const key = { tenant: '', group: 'g', source: 's', id: 'm' };
    await store.inbox.noteStart(key, true);
    await store.transactions.run(async (transaction) => {
      expect(await store.inbox.claim(key, transaction, 1_000)).toBe('new');
      await store.inbox.beginCommand('', 'key', 1_000, transaction, 1_000);
      await store.inbox.markUndone('', 'other', 1_000, transaction, 1_000);
    });
    const line = { tenant: '', topic: 't', key: 'k' };
    const landed = { key: { ...key, id: 'l' }, message: outboxMessage('l', 1), line };
    expect(await store.inbox.land([{ ...landed, attempts: 0, retry: null }], 1_000)).toBe(1);
    const queue = await store.inbox.landingQueue('g');
    await queue.join('me', 60_000);
    const leases = await queue.acquire('me', 60_000, queue.slots);
    const windows = leases.map(({ slot }) => ({ slot, floor: '0' }));
    const read = await queue.read({
      windows,
      inFlight: [],
      perSlot: 10,
      limit: 10,
      bytes: 1_000_000,
    });
    expect(read.rows).toHaveLength(1);
    await queue.stats();
    await queue.leave('me');
    await store.inbox.listDeadLetters({});
    await store.inbox.prune(1, 100);
    await relay.close(1_000);
    await engine.close();
  });

  it('needs nothing of what other roles do', async () => {
    await run(`GRANT SELECT, INSERT, UPDATE, DELETE ON sagaz.message, sagaz.slot_lease, sagaz.slot_member, sagaz.saga_mail TO "${role}";
      GRANT SELECT, USAGE ON SEQUENCE sagaz.message_seq TO "${role}";
      GRANT EXECUTE ON FUNCTION sagaz.message_read, sagaz.message_counts, sagaz.message_pass TO "${role}"`);
    await store.start({ migrate: false, roles: ['relay'] });
    await expect(store.start({ migrate: false, roles: ['consume'] })).rejects.toThrow(
      MissingPrivilegesError,
    );
  });

  it('is told what the look for unserved sagas needs, which is no condition of its start', async () => {
    await store.start({ migrate: false });
    const look = (): Promise<unknown> => store.sagas.unserved({ olderThanMs: 0, limit: 10 });
    const refused = await look().catch((error: unknown) => error);
    if (!(refused instanceof MissingPrivilegesError)) throw refused;
    expect(refused.grants).toHaveLength(5);
    await run(refused.grants.join('\n'));
    expect(await look()).toEqual([]);
    await run(`REVOKE SELECT ON sagaz.saga FROM "${role}"`);
    await expect(look()).rejects.toThrow('permission denied');
    await expect(look()).rejects.toThrow(`GRANT SELECT ON "sagaz".saga TO "${role}";`);
  });
});
