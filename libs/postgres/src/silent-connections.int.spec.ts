import { factHandlers, FactStream, SagaEngine, systemClock } from '@sagaz/core';
import { Program } from '@sagaz/core/testing';
import {
  createDatabase,
  postgresServers,
  SilentProxy,
  type TestDatabase,
} from '@sagaz/test-support';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { postgres } from './index.js';

const server = postgresServers()[0]!;
const logger = { debug() {}, info() {}, warn() {}, error() {} };

describe('an engine whose connections are forgotten on the way to the database', () => {
  let db: TestDatabase;
  let proxy: SilentProxy;
  beforeAll(async () => {
    db = await createDatabase(server);
    proxy = await SilentProxy.before(db.url);
  });
  afterAll(async () => {
    await proxy.close();
    await db.drop();
  });

  it('keeps its lease, runs sagas on new ones, and leaves none of the old ones behind', async () => {
    const store = await postgres({ url: proxy.url }).create({
      service: 'spec',
      logger,
      clock: systemClock,
    });
    await store.start({ migrate: true });
    const program = new Program({ name: 'p', steps: { a: {}, b: { dependsOn: ['a'] } } });
    const steps = program.instance();
    const died = vi.fn<() => void>();
    const facts = new FactStream({ logger });
    facts.subscribe(factHandlers({ engine_died: died }));
    const engine = new SagaEngine({
      service: 'spec',
      store,
      definitions: [program.definition],
      resolve: () => steps,
      logger,
      facts,
      settings: { ttlMs: 6_000 },
    });
    await engine.run();
    await (await engine.start(program.definition, 1)).outcome();
    for (let round = 0; round < 2; round += 1) {
      expect(proxy.forget()).toBeGreaterThan(2);
      const handle = await engine.start(program.definition, round);
      expect(await handle.outcome()).toMatchObject({ status: 'completed' });
      await vi.waitFor(() => expect(proxy.forgotten).toBe(0), { timeout: 20_000 });
      expect(engine.healthy).toBe(true);
    }
    expect(died).not.toHaveBeenCalled();
    proxy.forget();
    await engine.close();
    await store.close();
    await vi.waitFor(() => expect(proxy.open).toBe(0), { timeout: 10_000 });
  }, 120_000);
});
