import { DEFAULT_RETENTION, newId } from '@sagaz/core';
import { describeEachPostgres } from '@sagaz/test-support';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { PageCounter } from '../slots/explained.fixture.js';
import { keptCounts } from './saga-counts.js';
import { SagaRemoval } from './saga-retention.js';
import { newSaga, openSagas, schema, transition, type OpenSagas } from './sagas.fixture.js';
import { findUnserved } from './unserved-sagas.js';

/** What processes ask by themselves, and the most pages that it may look at. */
const CALLS: Readonly<
  Record<string, { readonly most: number; readonly call: (on: PageCounter) => Promise<unknown> }>
> = {
  'looking for unserved sagas': {
    most: 400,
    call: (on) => findUnserved(on, schema, { olderThanMs: 0, limit: 10 }),
  },
  'removing what is old, where nothing is': {
    most: 60,
    call: (on) =>
      new SagaRemoval(on, schema, { round: () => Promise.resolve(false) }).remove(
        DEFAULT_RETENTION,
        500,
      ),
  },
  'reading the counts': { most: 10, call: (on) => keptCounts(on, schema) },
};

describeEachPostgres('beside 50,000 ended sagas and 20,000 due ones of others', (server) => {
  let open: OpenSagas;
  beforeAll(async () => {
    open = await openSagas(server);
    const me = await open.engine();
    const [ended] = await open.started(1, me);
    if (ended === undefined) throw new Error('unreachable');
    await open.store.flush([transition(ended, me, { status: 'completed' })]);
    await open.store.start([newSaga({ name: 'foreign', id: newId() })]);
    await open.store.keepCounts({
      sagas: new Map(),
      outbox: new Map(),
      oldestPendingMs: null,
      deadLetters: 0,
      landings: [],
    });
    await open.pool.query({
      text: `INSERT INTO sagaz.saga_ended (id, definition, tenant, status, revision, epoch, created_at)
        SELECT gen_random_uuid(), e.definition, '', e.status, 1, 1, now()
        FROM sagaz.saga_ended e CROSS JOIN generate_series(1, 50000)`,
    });
    await open.pool.query({
      text: `INSERT INTO sagaz.saga_key (tenant, name, key, saga_id, input_digest)
        SELECT '', 'place-order', e.id::text, e.id, '' FROM sagaz.saga_ended e`,
    });
    await open.pool.query({
      text: `INSERT INTO sagaz.saga (id, definition, tenant, status, revision, epoch, wake_at)
        SELECT gen_random_uuid(), s.definition, '', s.status, 0, 0, now() - interval '1 minute'
        FROM sagaz.saga s CROSS JOIN generate_series(1, 20000) WHERE s.owner IS NULL`,
    });
  });
  afterAll(() => open.close());

  for (const [name, { most, call }] of Object.entries(CALLS)) {
    for (const analysed of [false, true]) {
      it(`${name} costs a few pages${analysed ? ', with statistics of now' : ''}`, async () => {
        if (analysed) await open.pool.query({ text: 'ANALYZE' });
        const counter = new PageCounter(open.pool);
        expect(await counter.pagesOf(() => call(counter))).toBeLessThan(most);
      });
    }
  }
});
