import { newNonce } from '@sagaz/core';
import { describeEachPostgres } from '@sagaz/test-support';
import pg from 'pg';
import { afterAll, afterEach, beforeAll, expect, it } from 'vitest';
import { BrokerDatabase, Inbox, brokerOn, message, quiet } from './broker.fixture.js';
import { brokerGrantSql, MissingBrokerGrantError, postgresBroker } from './index.js';
import { systemClock, type Broker, type Delivery } from '@sagaz/core';

describeEachPostgres('a role of the broker for each service', (server) => {
  let db: BrokerDatabase;
  const suffix = newNonce().replaceAll('-', '').slice(0, 12);
  const roles = { orders: `orders_${suffix}`, stock: `stock_${suffix}`, all: `all_${suffix}` };
  const open: Broker[] = [];
  const clients: pg.Client[] = [];

  function urlOf(role: string): string {
    const url = new URL(db.url);
    url.username = role;
    url.password = 'secret';
    return url.href;
  }
  async function brokerOf(role: string): Promise<Broker> {
    const driver = postgresBroker({ url: urlOf(role), migrate: false, pollIntervalMs: 50 });
    const broker = await driver.create({ service: 'spec', logger: quiet, clock: systemClock });
    open.push(broker);
    return broker;
  }
  async function clientOf(role: string): Promise<pg.Client> {
    const client = new pg.Client({ connectionString: urlOf(role) });
    await client.connect();
    clients.push(client);
    return client;
  }

  beforeAll(async () => {
    db = await BrokerDatabase.open(server);
    await (await brokerOn(db.url)).close();
    for (const role of Object.values(roles)) {
      await db.admin.query(`CREATE ROLE ${role} LOGIN PASSWORD 'secret'`);
    }
    await db.admin.query(
      brokerGrantSql({
        role: roles.orders,
        publish: ['stock', 'order'],
        read: ['orders.replies'],
        consume: ['orders.engine'],
      }),
    );
    for (const what of [
      'USAGE ON SCHEMA',
      'ALL ON ALL TABLES IN SCHEMA',
      'ALL ON ALL SEQUENCES IN SCHEMA',
    ]) {
      await db.admin.query(`GRANT ${what} sagaz_broker TO ${roles.all}`);
    }
    await db.admin.query(
      brokerGrantSql({
        role: roles.stock,
        publish: ['orders.replies'],
        read: ['stock'],
        consume: ['stock'],
      }),
    );
  });
  afterEach(async () => {
    await Promise.all(open.splice(0).map((broker) => broker.close()));
    await Promise.all(clients.splice(0).map((client) => client.end()));
  });
  afterAll(async () => {
    for (const role of Object.values(roles)) {
      await db.admin.query(`DROP OWNED BY ${role}; DROP ROLE ${role}`);
    }
    await db.drop();
  });

  it('publishes, joins, retries, and finds what lay there before, each its own', async () => {
    const orders = await brokerOf(roles.orders);
    const stock = await brokerOf(roles.stock);
    expect(await orders.publish([message('stock', 'early')])).toEqual([{ kind: 'acknowledged' }]);
    const seen: string[] = [];
    let done: () => void = () => undefined;
    const both = new Promise<void>((resolve) => (done = resolve));
    await stock.subscribe({
      group: 'stock',
      topics: ['stock'],
      concurrency: 5,
      handle: async ({ message: { key }, attempt }: Delivery) => {
        seen.push(`${key} ${attempt}`);
        if (key === 'again' && attempt === 1) {
          return { kind: 'retry', delayMs: 1, error: new Error('not yet') };
        }
        if (key === 'again') done();
        return { kind: 'done' };
      },
    });
    expect(await orders.publish([message('stock', 'again')])).toEqual([{ kind: 'acknowledged' }]);
    await both;
    expect(seen.sort()).toEqual(['again 1', 'again 2', 'early 1']);
    const replies = new Inbox();
    await orders.subscribe({
      group: 'orders.engine',
      topics: ['orders.replies'],
      concurrency: 1,
      handle: replies.handle,
    });
    expect(await stock.publish([message('orders.replies', 'a')])).toEqual([
      { kind: 'acknowledged' },
    ]);
    await replies.count(1);
    expect(await orders.health()).toMatchObject({ state: 'up' });
    const groups = new Set((await orders.lag()).map(({ group }) => group));
    expect([...groups]).toEqual(['orders.engine']);
  });

  it('is told which grant is missing, and what others sent beside it goes through', async () => {
    const stock = await brokerOf(roles.stock);
    const [mine, foreign, alsoMine] = await stock.publish([
      message('orders.replies', 'a'),
      message('order', 'a'),
      message('orders.replies', 'b'),
    ]);
    expect([mine?.kind, alsoMine?.kind]).toEqual(['acknowledged', 'acknowledged']);
    expect(foreign).toMatchObject({
      kind: 'unavailable',
      error: { role: roles.stock, kind: 'publish', missing: 'order' },
    });
    expect(String(foreign !== undefined && 'error' in foreign && foreign.error)).toContain(
      `no grant to publish to the topic 'order'`,
    );
    const subscribe = (group: string, topic: string) =>
      stock.subscribe({
        group,
        topics: [topic],
        concurrency: 1,
        handle: () => Promise.resolve({ kind: 'done' }),
      });
    await expect(subscribe('orders.engine', 'stock')).rejects.toMatchObject({
      kind: 'consume',
      missing: 'orders.engine',
    });
    // As its own group, what is meant for another.
    await expect(subscribe('stock', 'orders.replies')).rejects.toThrow(MissingBrokerGrantError);
    await expect(stock.removeGroup?.('orders.engine')).rejects.toThrow();
  });

  it('is refused by PostgreSQL itself, whatever it sends', async () => {
    const orders = await brokerOf(roles.orders);
    await orders.subscribe({
      group: 'orders.engine',
      topics: ['orders.replies'],
      concurrency: 1,
      // It stays there.
      handle: () => Promise.resolve({ kind: 'retry', delayMs: 600_000, error: new Error('later') }),
    });
    await (await brokerOf(roles.stock)).publish([message('orders.replies', 'for orders only')]);
    const stock = await clientOf(roles.stock);
    const of = 'sagaz_broker';
    for (const table of ['message', 'slot_lease', 'slot_member', 'queue', 'subscription']) {
      const text = JSON.stringify((await stock.query(`SELECT * FROM ${of}.${table}`)).rows);
      expect(text, table).not.toMatch(/orders\.engine|for orders only/);
    }
    const { rows } = await db.admin.query<{ id: number }>(
      `SELECT id FROM ${of}.queue WHERE name = 'orders.engine'`,
    );
    const foreign = String(rows[0]?.id);
    for (const harmless of [
      `UPDATE ${of}.slot_lease SET owner = 'me' WHERE queue = 'orders.engine'`,
      `DELETE FROM ${of}.slot_member WHERE queue = 'orders.engine'`,
      `DELETE FROM ${of}.message WHERE queue = ${foreign}`,
      `SELECT FROM ${of}.message_read(${foreign}, '{0}', '{0}', '{}', 9, 9, 9)`,
    ]) {
      expect((await stock.query(harmless)).rowCount, harmless).toBe(0);
    }
    await stock.query(`SELECT ${of}.subscribe('stock', '{stock}', '{}')`);
    await orders.publish([message('stock', 'mine')]);
    for (const refused of [
      `UPDATE ${of}.message SET queue = ${foreign}`,
      `INSERT INTO ${of}.message SELECT * FROM ${of}.message`,
      `INSERT INTO ${of}.slot_member VALUES ('orders.engine', 'me', now())`,
      `INSERT INTO ${of}.broker_grant VALUES (session_user, 'publish', 'order')`,
      `SELECT * FROM ${of}.broker_grant`,
      `SELECT * FROM ${of}.message_readable`,
      `DELETE FROM ${of}.queue`,
      `DELETE FROM ${of}.subscription`,
      `SELECT ${of}.hand_over(${foreign}, 'orders.replies', 1, 0, 10)`,
      `SELECT ${of}.publish('{}', '{1}', '{i}', '{""}', '{order}', '{k}', '{t}', '{s}', '{}', '{c}', '{"{}"}', '{x}')`,
      `SET ROLE ${roles.orders}`,
    ]) {
      await expect(stock.query(refused), refused).rejects.toMatchObject({ code: '42501' });
    }
  });

  it('is not restricted where it was given all rights by hand, though it owns nothing', async () => {
    const broker = await brokerOf(roles.all);
    const inbox = new Inbox();
    const { handle } = inbox;
    await broker.subscribe({ group: 'any', topics: ['any'], concurrency: 1, handle });
    expect(await broker.publish([message('any', 'a')])).toEqual([{ kind: 'acknowledged' }]);
    await inbox.count(1);
    await broker.close();
    expect(await (await brokerOf(roles.all)).removeGroup?.('any')).toBe(0);
  });
});
