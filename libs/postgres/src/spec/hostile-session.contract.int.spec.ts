import { setTimeout as sleep } from 'node:timers/promises';
import {
  systemClock,
  type Broker,
  type Message,
  type Transaction,
  type Transactions,
} from '@sagaz/core';
import {
  brokerContract,
  engineRegistryContract,
  inboxDeliveryContract,
  inboxStoreContract,
  outboxStoreContract,
  runContract,
  sagaStoreContract,
  slotQueueContract,
} from '@sagaz/core/testing';
import { createDatabase, describeEachPostgres, type TestDatabase } from '@sagaz/test-support';
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { quiet } from '../broker/broker.fixture.js';
import { postgresBroker } from '../broker/index.js';
import { changeParsers, makeHostile } from '../connection/hostile-session.fixture.js';
import { InboxDatabase } from '../inbox/inbox.fixture.js';
import { OutboxDatabase, pass } from '../outbox/outbox.fixture.js';
import { openSagas, type OpenSagas } from '../sagas/sagas.fixture.js';

/**
 * Transactions on an application's own connections, which read values as the application says: every
 * statement of the stores that runs in one runs on a client that Sagaz has not opened.
 */
function onTheApplicationsClients(pool: pg.Pool, own: Transactions): Transactions {
  return {
    enlist: (client) => own.enlist(client),
    open: (transaction) => own.open(transaction),
    control: (client, statement, send) => own.control(client, statement, send),
    abandon: (transaction) => own.abandon(transaction),
    reported: (error) => own.reported(error),
    run: async <T>(work: (transaction: Transaction) => Promise<T>): Promise<T> => {
      const client = await pool.connect();
      try {
        await client.query('BEGIN ISOLATION LEVEL READ COMMITTED');
        const result = await work(own.enlist(client));
        await client.query('COMMIT');
        return result;
      } catch (error) {
        await client.query('ROLLBACK');
        throw error;
      } finally {
        client.release();
      }
    },
  };
}

describeEachPostgres('in a session whose formats somebody has changed', (server) => {
  let restore: () => void = () => undefined;
  beforeAll(() => {
    restore = changeParsers();
  });
  afterAll(() => {
    restore();
  });

  describe('the saga store', () => {
    let open: OpenSagas;
    let another: ReturnType<OpenSagas['another']>;
    let application: pg.Pool;
    beforeAll(async () => {
      open = await openSagas(server, makeHostile);
      another = open.another();
      application = new pg.Pool({ connectionString: open.db.url });
    });
    afterAll(async () => {
      await application.end();
      await another.pool.end();
      await open.close();
    });
    const fixture = () =>
      Promise.resolve({
        sagas: open.store,
        other: another.store,
        engines: open.engines,
        transactions: onTheApplicationsClients(application, open.transactions),
        messagesOf: open.messagesOf,
        pass: async (ms: number) => {
          await sleep(ms);
        },
      });
    runContract('keeps its contract', sagaStoreContract, fixture, { it, describe });
    runContract(
      'keeps the contract of the registry of engines',
      engineRegistryContract,
      () =>
        Promise.resolve({
          engines: open.engines,
          otherEngines: open.engines,
          pass: (ms: number) => sleep(ms),
        }),
      { it, describe },
    );

    it('is really in such a session', async () => {
      const { rows } = await application.query('SELECT clock_timestamp(), 1::int8 AS n');
      expect(rows[0]).toMatchObject({ n: 'read by the application' });
      const shown = await open.pool.query({
        text: "SELECT current_setting('bytea_output') AS bytes, current_setting('DateStyle') AS dates",
      });
      expect(shown.rows).toEqual([{ bytes: 'escape', dates: 'SQL, DMY' }]);
    });
  });

  describe('the outbox', () => {
    let database: OutboxDatabase;
    let first: ReturnType<OutboxDatabase['process']>;
    let second: ReturnType<OutboxDatabase['process']>;
    let application: pg.Pool;
    beforeAll(async () => {
      database = await OutboxDatabase.create(server, makeHostile);
      first = database.process(20);
      second = database.process(20);
      application = new pg.Pool({ connectionString: database.url, max: 20 });
    });
    afterAll(async () => {
      await application.end();
      await database.drop();
    });
    const shared = async () => {
      await database.empty();
      return {
        transactions: onTheApplicationsClients(application, first.transactions),
        pass,
        ...database.locks(first),
      };
    };
    runContract(
      'keeps its contract',
      outboxStoreContract,
      async () => ({
        ...(await shared()),
        outbox: first.outbox,
        newOutbox: () => Promise.resolve(second.outbox),
        mailOf: async (sagaId: string) => {
          const { rows } = await first.pool.query<{ dedupe_key: string; data: string }>({
            text: 'SELECT dedupe_key, data FROM sagaz.saga_mail WHERE saga_id = $1',
            values: [sagaId],
          });
          return rows.map((row) => ({ dedupeKey: row.dedupe_key, data: row.data }));
        },
      }),
      { it, describe },
    );
    runContract(
      'keeps the contract of its slots',
      slotQueueContract,
      async () => ({
        ...(await shared()),
        queue: first.outbox,
        newQueue: () => Promise.resolve(second.outbox),
        add: first.outbox.append.bind(first.outbox),
      }),
      { it, describe },
    );
  });

  describe('the inbox', () => {
    let database: InboxDatabase;
    beforeAll(async () => {
      database = await InboxDatabase.open(server, makeHostile);
    });
    afterAll(() => database.drop());
    const fixture = () =>
      Promise.resolve({
        store: database.store(0),
        newStore: () => Promise.resolve(database.store(1)),
        effects: database.effects,
      });
    runContract('keeps its contract', inboxStoreContract, fixture, { it, describe });
    runContract('keeps the contract of deliveries', inboxDeliveryContract, fixture, {
      it,
      describe,
    });
  });

  describe('the broker', () => {
    let database: TestDatabase;
    beforeAll(async () => {
      database = await createDatabase(server);
      await makeHostile(database.url);
    });
    afterAll(() => database.drop());
    async function fixture() {
      const open: Broker[] = [];
      const newBroker = async (): Promise<Broker> => {
        const driver = postgresBroker({ url: database.url, migrate: true, leaseTtlMs: 1_000 });
        const made = await driver.create({ service: 'spec', logger: quiet, clock: systemClock });
        open.push(made);
        return made;
      };
      return {
        broker: await newBroker(),
        newBroker,
        poison: (message: Message): Message => ({ ...message, type: 'has\u0000nul' }),
        dispose: async () => {
          await Promise.all(open.map((broker) => broker.close()));
        },
      };
    }
    runContract('keeps its contract', brokerContract, fixture, { it, describe });
  });
});
