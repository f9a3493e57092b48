import { inboxKeyOf, systemClock, type Logger, type Store } from '@sagaz/core';
import { postgres } from '@sagaz/postgres';
import { postgresServers, type TestDatabase } from '@sagaz/test-support';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { readBooks } from './books.fixture.js';
import { promiseHolds } from './promises.fixture.js';
import { ORDERS_SCHEMA, STOCK_SCHEMA } from './src/schema.js';
import type { Fault, Scenario } from './src/scenario.js';
import { Child, query, Template } from './world.fixture.js';

const silent: Logger = { debug() {}, info() {}, warn() {}, error() {} };
/** A step that kills its process is parked when it has done so that often. */
const DEATHS = 3;
/** Up to eight processes run one after the other, each of which may take a minute on a busy machine. */
const LIMIT_MS = 480_000;
/** A handler that does: twice beside others, which makes it a suspect, and three times alone. */
const HANDLER_DEATHS = 5;

let template: Template;
let database: TestDatabase;
beforeAll(async () => {
  template = await Template.create(postgresServers()[0]!);
});
afterAll(() => template.drop());
beforeEach(async () => {
  database = await template.copy();
});
afterEach(() => database.drop());

/** Starts the process again as often as it dies; how often it did. */
async function supervised(scenario: Scenario, most = DEATHS): Promise<number> {
  for (let deaths = 0; deaths <= most; deaths += 1) {
    const { code, signal, stderr } = await new Child(scenario).ended;
    if (code === 0) return deaths;
    expect(signal, `neither done nor parked:\n${stderr}`).toBe('SIGKILL');
  }
  throw new Error(`Nothing is parked after ${most} deaths: it dies for ever.`);
}

async function withStore<T>(schema: string, work: (store: Store) => Promise<T>): Promise<T> {
  const environment = { service: 'operator', logger: silent, clock: systemClock };
  const store = await postgres({ url: database.url, schema }).create(environment);
  try {
    return await work(store);
  } finally {
    await store.close();
  }
}

describe('8: nothing is lost in silence', () => {
  it(
    'parks a message that is refused for good, also when the relay dies at it, until it is replayed',
    async () => {
      const work = { orders: [], notes: 3 };
      const scenario = { url: database.url, ...work };
      const fault: Fault = { point: 'relay.before-change', nth: 2, action: 'kill' };
      await query(database.url, `INSERT INTO app.switch VALUES ('relay')`);
      const killed = await new Child({ ...scenario, fault }).ended;
      expect(killed.signal, `${killed.code} ${killed.stderr}`).toBe('SIGKILL');
      expect(await supervised(scenario)).toBe(0);
      await withStore(ORDERS_SCHEMA, async ({ outbox }) => {
        const letters = await outbox.listDeadLetters({});
        expect(letters, 'dead letters').toMatchObject([
          { topic: 'note', key: 'k2', type: 'note.taken' },
        ]);
        expect((await outbox.stats()).byStatus.get('dead_letter'), 'counted').toBe(1);
        await query(database.url, `DELETE FROM app.switch`);
        expect(await outbox.replayDeadLetters(letters.map(({ id }) => id))).toEqual(['done']);
      });
      expect(await supervised(scenario)).toBe(0);
      promiseHolds[4](await readBooks(database.url), work);
    },
    LIMIT_MS,
  );

  it(
    'parks a message that kills its handler, also the one that replays it, until it is handled',
    async () => {
      const work = { orders: ['good-1'], notes: 0 };
      const scenario = { url: database.url, ...work };
      await query(database.url, `INSERT INTO app.switch VALUES ('crash order.accept')`);
      expect(await supervised(scenario, HANDLER_DEATHS)).toBe(HANDLER_DEATHS);
      await withStore(STOCK_SCHEMA, async ({ inbox }) => {
        const letters = await inbox.listDeadLetters({});
        expect(letters, 'dead letters').toMatchObject([{ group: 'order', reason: 'crashed' }]);
        expect(await inbox.countDeadLetters(), 'counted').toBe(1);
        const keys = letters.map(({ group, message }) => inboxKeyOf(group, message));
        expect(await inbox.replayDeadLetters(keys)).toEqual(['done']);
        const replaying = await new Child(scenario).ended;
        expect(replaying.signal, `not replayed: ${replaying.stderr}`).toBe('SIGKILL');
        const [{ key } = { key: undefined }] = keys.map((one) => ({ key: one }));
        if (key === undefined) throw new Error('There is no dead letter.');
        expect(await inbox.discardDeadLetters([key]), 'the message whose replay died').toEqual([
          'busy',
        ]);
        await query(database.url, `DELETE FROM app.switch`);
      });
      expect(await supervised(scenario)).toBe(0);
      promiseHolds[6](await readBooks(database.url), work);
    },
    LIMIT_MS,
  );

  it(
    'parks a saga whose compensation kills the process, until it is retried',
    async () => {
      const work = { orders: ['bad-1'], notes: 0 };
      const scenario = { url: database.url, ...work };
      const fault: Fault = {
        point: 'compensation.before-invoke',
        subject: 'charge',
        action: 'kill',
      };
      expect(await supervised({ ...scenario, fault })).toBe(DEATHS);
      await withStore(ORDERS_SCHEMA, async ({ sagas }) => {
        const parked = await sagas.find({ statuses: ['needs_attention'] });
        expect(parked, 'parked sagas').toMatchObject([{ key: 'bad-1' }]);
        expect((await sagas.countByStatus()).get('needs_attention'), 'counted').toBe(1);
      });
      expect(await supervised({ ...scenario, retry: true })).toBe(0);
      const books = await readBooks(database.url);
      for (const promise of [1, 2, 3, 6] as const) promiseHolds[promise](books, work);
    },
    LIMIT_MS,
  );
});
