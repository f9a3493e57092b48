import { newId, type NewSaga } from '@sagaz/core';
import { describeEachPostgres } from '@sagaz/test-support';
import { afterAll, beforeAll, expect, it } from 'vitest';
import type { Queryable } from '../connection/index.js';
import { Definitions } from './definitions.js';
import { SagaQueries } from './saga-queries.js';
import {
  claimOf,
  newSaga,
  openSagas,
  schema,
  transition,
  type OpenSagas,
} from './sagas.fixture.js';

describeEachPostgres('the two lives of a saga', (server) => {
  let open: OpenSagas;
  beforeAll(async () => {
    open = await openSagas(server);
  });
  afterAll(() => open.close());

  async function saga(): Promise<{ saga: NewSaga; owner: string }> {
    const owner = await open.engine();
    const [one] = await open.started(1, owner);
    if (one === undefined) throw new Error('unreachable');
    return { saga: one, owner };
  }

  const end = (one: NewSaga, owner: string, revision = 0) =>
    open.store.flush([transition(one, owner, { status: 'completed', revision })]);

  /** Moves a saga that has ended back, as a claim does. */
  const back = (id: string) =>
    open.pool.query({
      text: `WITH back AS (DELETE FROM sagaz.saga_ended WHERE id = $1 RETURNING *)
        INSERT INTO sagaz.saga (id, definition, tenant, key, status, revision, epoch, created_at)
        SELECT id, definition, tenant, key, status, revision, epoch, created_at FROM back`,
      values: [id],
    });

  it.each(['ends', 'comes back'] as const)(
    'are looked at by one statement: one that %s meanwhile is found',
    async (what) => {
      const { saga: one, owner } = await saga();
      const definitions = new Definitions(open.pool, schema);
      await definitions.numbersOf([one]);
      // The saga moves after each statement, and so between any two of them.
      const moving: Queryable = {
        query: async (statement) => {
          const answer = await open.pool.query<never>(statement);
          if (what === 'ends') await end(one, owner);
          else await back(one.id);
          return answer;
        },
      };
      const queries = new SagaQueries(moving, schema, definitions);
      const { id, name } = one;
      const asked = [
        () => queries.get(id).then((found) => found?.id),
        () => queries.statusesOf([id]).then((found) => [...found.keys()][0]),
        () => queries.find({ name, before: after(id) }).then((found) => found[0]?.id),
      ];
      for (const ask of asked) {
        if (what === 'comes back') {
          await open.pool.query({
            text: `UPDATE sagaz.saga SET owner = $2, epoch = 1, revision = 0 WHERE id = $1`,
            values: [id, owner],
          });
          await open.pool.query({
            text: 'DELETE FROM sagaz.saga_journal WHERE saga_id = $1 AND revision = 1',
            values: [id],
          });
          await end(one, owner);
        }
        expect(await ask()).toBe(id);
        if (what === 'ends') {
          await back(id);
          await open.pool.query({
            text: `UPDATE sagaz.saga SET owner = $2, epoch = 1, revision = 0 WHERE id = $1`,
            values: [id, owner],
          });
          await open.pool.query({
            text: 'DELETE FROM sagaz.saga_journal WHERE saga_id = $1 AND revision = 1',
            values: [id],
          });
        }
      }
    },
  );

  it('share no row: the table of those that go on holds nothing of those that have ended', async () => {
    const { saga: one, owner } = await saga();
    await end(one, owner);
    const { rows } = await open.pool.query({
      text: `SELECT (SELECT count(*)::int FROM sagaz.saga WHERE id = $1) AS live,
        (SELECT count(*)::int FROM sagaz.saga_ended WHERE id = $1) AS ended,
        (SELECT name || ' ' || version || ' ' || status FROM sagaz.saga_all WHERE id = $1) AS shown`,
      values: [one.id],
    });
    expect(rows).toEqual([{ live: 0, ended: 1, shown: 'place-order 1 completed' }]);
  });

  it('keep their definition by a number that two processes find alike, and wait for no transaction', async () => {
    const name = `saga-${newId()}`;
    const another = open.another();
    const owner = await open.engine();
    // The first process starts the definition for the first time, in a transaction that stays open.
    await open.transactions.run(async (transaction) => {
      await open.store.start([newSaga({ name })], transaction);
      await another.store.start([newSaga({ name }), newSaga({ name, version: 2 })]);
    });
    const claimed = await another.store.claim({
      incarnation: owner,
      definitions: [{ name, versions: [1, 2] }],
      format: 1,
      limit: 10,
    });
    expect(claimed.map((one) => `${one.name} ${String(one.version)}`).sort()).toEqual([
      `${name} 1`,
      `${name} 1`,
      `${name} 2`,
    ]);
    // This process has not seen the second version yet.
    const found = await open.store.find({ name });
    expect(found.map(({ version }) => version).sort()).toEqual([1, 1, 2]);
    const { rows } = await open.pool.query({
      text: 'SELECT version FROM sagaz.definition WHERE name = $1 ORDER BY version',
      values: [name],
    });
    expect(rows).toEqual([{ version: 1 }, { version: 2 }]);
    expect(await another.store.claim(claimOf(owner, 'never-started'))).toEqual([]);
    await another.pool.end();
  });
});

/** The least id above this one. */
function after(id: string): string {
  return id.replace(/.{4}$/, 'ffff');
}
