import { newNonce, storeFailureOf, systemClock, type Broker, type ProcessRole } from '@sagaz/core';
import { describeEachPostgres } from '@sagaz/test-support';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { MissingPrivilegesError } from '../privileges/index.js';
import { BrokerDatabase, brokerOn, Inbox, message, quiet } from './broker.fixture.js';
import { brokerGrantSql, postgresBroker } from './index.js';

describeEachPostgres('a role without privileges on the tables of the broker', (server) => {
  let db: BrokerDatabase;
  let role: string;
  const open: Broker[] = [];

  beforeEach(async () => {
    db = await BrokerDatabase.open(server);
    await (await brokerOn(db.url)).close();
    role = `poor ${newNonce().slice(0, 8)}`;
    await db.admin.query(`CREATE ROLE "${role}" LOGIN PASSWORD 'secret'`);
  });
  afterEach(async () => {
    await Promise.all(open.splice(0).map((broker) => broker.close()));
    await db.admin.query(`DROP OWNED BY "${role}"; DROP ROLE "${role}"`);
    await db.drop();
  });

  async function start(...roles: ProcessRole[]): Promise<Broker> {
    const url = new URL(db.url);
    url.username = role;
    url.password = 'secret';
    const driver = postgresBroker({ url: url.href, migrate: false, pollIntervalMs: 50 });
    const broker = await driver.create({
      service: 'spec',
      logger: quiet,
      clock: systemClock,
      roles,
    });
    open.push(broker);
    return broker;
  }

  async function refusalOf(...roles: ProcessRole[]): Promise<MissingPrivilegesError> {
    const error: unknown = await start(...roles).catch((thrown: unknown) => thrown);
    if (!(error instanceof MissingPrivilegesError)) throw error;
    expect(error.role).toBe(role);
    return error;
  }

  it.each<[ProcessRole]>([['consume'], ['engine']])(
    'is told every grant that a process with the role %s needs, and works with exactly these',
    async (processRole) => {
      const refused = await refusalOf(processRole, 'relay');
      expect(refused.message).toContain(`GRANT USAGE ON SCHEMA "sagaz_broker" TO "${role}"`);
      expect(refused.message).toContain(
        `GRANT SELECT, UPDATE, DELETE ON "sagaz_broker".message TO "${role}"`,
      );
      // A definite refusal ends the start; only a server that is away is waited for.
      expect(storeFailureOf(refused)).toBe('refused');
      await db.admin.query(refused.grants.join('\n'));
      await db.admin.query(
        `INSERT INTO sagaz_broker.broker_grant (role_name, kind, name) VALUES
          ($1, 'publish', 'stock'), ($1, 'read', 'stock'), ($1, 'consume', 'stock')`,
        [role],
      );
      const broker = await start(processRole, 'relay');
      // Messages that lay there before the group joined, and later ones.
      expect(await broker.publish([message('stock', 'early')])).toEqual([{ kind: 'acknowledged' }]);
      const inbox = new Inbox();
      let failed = 0;
      const subscription = await broker.subscribe({
        group: 'stock',
        topics: ['stock'],
        concurrency: 2,
        handle: (delivery) => {
          if (delivery.message.key !== 'again' || delivery.attempt > 1) {
            return inbox.handle(delivery);
          }
          failed += 1;
          return Promise.resolve({ kind: 'retry', delayMs: 1, error: new Error('not yet') });
        },
      });
      await broker.publish([message('stock', 'again')]);
      const seen = await inbox.count(2);
      expect(seen.map(({ message: { key } }) => key).sort()).toEqual(['again', 'early']);
      expect(failed).toBe(1);
      expect(await broker.health()).toMatchObject({ state: 'up' });
      expect(subscription.problem()).toBeNull();
    },
  );

  it('needs nothing for what its process does not do', async () => {
    const { grants } = await refusalOf('relay');
    expect(grants.join('\n')).not.toMatch(/message|slot_/);
    await db.admin.query(grants.join('\n'));
    await start('relay');
    expect((await refusalOf('consume')).grants.join('\n')).toMatch(/message/);
    // A process without roles only writes into its outbox.
    await start();
  });

  it('is told of a function that nobody may call by default, and the command line grants it', async () => {
    await db.admin.query('REVOKE EXECUTE ON ALL FUNCTIONS IN SCHEMA sagaz_broker FROM PUBLIC');
    await db.admin.query(brokerGrantSql({ role, publish: ['stock'], consume: ['stock'] }));
    const broker = await start('engine', 'relay', 'consume');
    expect(await broker.publish([message('stock', 'a')])).toEqual([{ kind: 'acknowledged' }]);
    await db.admin.query(`REVOKE EXECUTE ON FUNCTION sagaz_broker.publish FROM "${role}"`);
    expect((await refusalOf('relay')).grants).toEqual([
      `GRANT EXECUTE ON FUNCTION "sagaz_broker".publish TO "${role}";`,
    ]);
  });

  it('is told that the schema is missing where it is, and not of grants on it', async () => {
    await db.admin.query('ALTER SCHEMA sagaz_broker RENAME TO elsewhere');
    await expect(start('engine', 'relay', 'consume')).rejects.toMatchObject({
      code: 'SAGAZ_SCHEMA_OUTDATED',
    });
  });
});
