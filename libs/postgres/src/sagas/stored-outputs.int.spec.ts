import { newId } from '@sagaz/core';
import { describeEachPostgres } from '@sagaz/test-support';
import { afterAll, beforeAll, expect, it, vi } from 'vitest';
import { claimOf, entry, newSaga, openSagas, type OpenSagas } from './sagas.fixture.js';

const SAGAS = 100;
const MB = 1_000_000;

describeEachPostgres('outputs of a megabyte', (server) => {
  let open: OpenSagas;
  beforeAll(async () => {
    open = await openSagas(server);
  });
  afterAll(() => open.close());

  it('stay where they are when 100 sagas are claimed: kilobytes are loaded, and no page of theirs is read', async () => {
    const me = await open.engine();
    const name = `saga-${newId()}`;
    const output = {
      ...entry('step_completed', JSON.stringify({ output: 'x'.repeat(3_000) })),
      step: 'a',
      attempt: 1,
      onDemand: true,
    };
    const sagas = Array.from({ length: SAGAS }, () =>
      newSaga({ name, entries: [entry('saga_started', '{"input":1}'), output] }),
    );
    await open.store.start(sagas);
    await open.pool.query({
      text: `WITH big AS MATERIALIZED (
          SELECT '{"output":"' || string_agg(md5(n::text), '') || '"}' AS data FROM generate_series(1, 31251) AS n
        )
        UPDATE sagaz.saga_output o SET data = big.data FROM big`,
    });
    const asked = vi.spyOn(open.pool, 'query');
    const claimed = await open.store.claim(claimOf(me, name, SAGAS));
    const statements = asked.mock.calls.map(([statement]) => statement);
    asked.mockRestore();
    expect(claimed).toHaveLength(SAGAS);
    expect(claimed.every(({ entries }) => (entries[1]?.apart ?? 0) >= MB)).toBe(true);
    expect(JSON.stringify(claimed).length).toBeLessThan(100_000);
    let pages = 0;
    for (const { text, values = [] } of statements) {
      const { rows } = await open.pool.query<{ 'QUERY PLAN': string }>({
        text: `EXPLAIN (ANALYZE, BUFFERS) ${text}`,
        values,
      });
      const plan = rows.map((row) => row['QUERY PLAN']).join('\n');
      const [, hit = 0, read = 0] =
        /Buffers: shared(?: hit=(\d+))?(?: read=(\d+))?/.exec(plan) ?? [];
      pages += Number(hit) + Number(read);
    }
    // All of them lie on 12,500 pages.
    expect(pages).toBeLessThan(3_000);
    const [first] = sagas;
    const places = [{ revision: 0, ordinal: 1 }];
    const [data] = await open.store.dataOf(first?.id ?? '', places);
    expect(data?.length).toBeGreaterThan(MB);
  });
});
