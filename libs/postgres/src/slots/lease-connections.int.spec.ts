import { systemClock } from '@sagaz/core';
import { Gate } from '@sagaz/core/testing';
import { createDatabase, describeEachPostgres, type TestDatabase } from '@sagaz/test-support';
import pg from 'pg';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { PgBroker } from '../broker/index.js';
import { SagazClient, SagazPool, schemaName } from '../connection/index.js';
import { Migrator } from '../migrations/index.js';
import { postgres } from '../store.js';
import { PgWakeUps } from '../wake-ups/index.js';

const SLOTS = 256;
const TTL_MS = 60_000;
const logger = { debug() {}, info() {}, warn() {}, error() {} };
const settings = {
  applicationName: 'lease spec',
  connectTimeoutMs: 5_000,
  statementTimeoutMs: 30_000,
};

describeEachPostgres('a process whose pool has no connection left', (server) => {
  let db: TestDatabase;
  let admin: pg.Client;

  beforeEach(async () => {
    db = await createDatabase(server);
    admin = new pg.Client({ connectionString: db.url });
    await admin.connect();
  });
  afterEach(async () => {
    await admin.end();
    await db.drop();
  });

  it('takes and renews the leases of its relay', async () => {
    const driver = postgres({ url: db.url, pool: { max: 2 } });
    const store = await driver.create({ service: 'spec', logger, clock: systemClock });
    await store.start({ migrate: true });
    const gates = [new Gate(), new Gate()];
    const held = gates.map((gate) => store.transactions.run(() => gate.pass()));
    try {
      await Promise.all(gates.map((gate) => gate.reached));
      await store.outbox.join('me', TTL_MS);
      expect(await store.outbox.acquire('me', TTL_MS, SLOTS)).toHaveLength(SLOTS);
      expect((await store.outbox.renew('me', TTL_MS)).leases).toHaveLength(SLOTS);
    } finally {
      for (const gate of gates) gate.open();
      await Promise.all(held);
      await store.close();
    }
  });

  it('renews the leases of its consumer group', async () => {
    const schema = schemaName('sagaz_broker');
    const source = { kind: 'url' as const, url: db.url };
    const pool = new SagazPool({ ...settings, source, max: 2, logger });
    await new Migrator({ pool, schema: schema.text, set: 'broker' }).migrate();
    const clock = systemClock;
    const wakeUps = new PgWakeUps({ source, settings, pool, schema, clock, logger });
    const openLeases = (): SagazClient => new SagazClient(source, settings);
    const consumer = { leaseTtlMs: 3_000 };
    const broker = new PgBroker({ pool, schema, wakeUps, openLeases, clock, logger, consumer });
    const leased = async (since: Date): Promise<number> => {
      const { rowCount } = await admin.query(
        'SELECT FROM sagaz_broker.slot_lease WHERE owner IS NOT NULL AND expires_at > $1',
        [since],
      );
      return rowCount ?? 0;
    };
    const latest = async (): Promise<Date> => {
      const { rows } = await admin.query<{ at: Date }>(
        'SELECT max(expires_at) AS at FROM sagaz_broker.slot_lease WHERE owner IS NOT NULL',
      );
      return rows[0]?.at ?? new Date(0);
    };
    await broker.subscribe({
      group: 'stock',
      topics: ['orders'],
      concurrency: 1,
      handle: () => Promise.resolve({ kind: 'done' }),
    });
    await expect.poll(() => leased(new Date(0))).toBe(SLOTS);
    const held = [await pool.connect(), await pool.connect()];
    try {
      // The first one may have been under way before the connections were taken.
      for (const _ of ['first', 'second']) {
        const before = await latest();
        await expect.poll(() => leased(before)).toBe(SLOTS);
      }
    } finally {
      for (const client of held) client.release();
      await broker.close();
    }
  });
});
