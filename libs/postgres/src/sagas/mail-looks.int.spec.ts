import { newId, type MailFound, type MailMark } from '@sagaz/core';
import { describeEachPostgres } from '@sagaz/test-support';
import { afterAll, beforeAll, expect, it, vi } from 'vitest';
import type { Statement } from '../connection/index.js';
import { newSaga, openSagas, transition, type OpenSagas } from './sagas.fixture.js';

describeEachPostgres('mail of sagas', (server) => {
  let open: OpenSagas;
  beforeAll(async () => {
    open = await openSagas(server);
  });
  afterAll(() => open.close());

  const letterTo = (sagaId: string, change: object = {}) => ({
    sagaId,
    kind: 'reply',
    dedupeKey: newId(),
    data: '{}',
    ...change,
  });
  const definitionsOf = (name: string) => [{ name, versions: [1] }];

  /** The statements that are sent while `work` runs. */
  async function statementsOf(work: () => Promise<unknown>): Promise<readonly Statement[]> {
    const asked = vi.spyOn(open.pool, 'query');
    await work();
    const statements = asked.mock.calls.map(([statement]) => statement);
    asked.mockRestore();
    return statements;
  }

  /** Runs a statement again, and returns its plan and how many pages it read. */
  async function planOf({
    text,
    values = [],
  }: Statement): Promise<{ plan: string; pages: number }> {
    const { rows } = await open.pool.query<{ 'QUERY PLAN': string }>({
      text: `EXPLAIN (ANALYZE, BUFFERS) ${text}`,
      values,
    });
    const plan = rows.map((row) => row['QUERY PLAN']).join('\n');
    return { plan, pages: Number(/Buffers: shared hit=(\d+)/.exec(plan)?.[1]) };
  }

  it('costs a look the same beside 20,000 letters of sagas that this engine cannot run, and 20,000 that it passed', async () => {
    const me = await open.engine();
    const name = `saga-${newId()}`;
    const definitions = definitionsOf(name);
    const saga = newSaga({ name, owner: me });
    await open.store.start([saga, newSaga({ name: 'foreign', wakeInMs: null })]);
    const first = await open.store.lookForMail({
      incarnation: me,
      definitions,
      format: 1,
      from: null,
    });
    for (const definition of ['foreign', name]) {
      await open.pool.query({
        text: `INSERT INTO sagaz.saga_mail (definition, saga_id, kind, dedupe_key, data)
          SELECT d.number, gen_random_uuid(), 'reply', 'k', '{}'
          FROM sagaz.definition d CROSS JOIN generate_series(1, 20000) WHERE d.name = $1`,
        values: [definition],
      });
    }
    const passed = await passOver(me, name, first.mark);
    await open.store.putMail([letterTo(saga.id, { definition: { name, version: 1 } })]);
    const look = { incarnation: me, definitions, format: 1, from: passed };
    expect((await open.store.lookForMail(look)).mail).toMatchObject([{ sagaId: saga.id }]);
    const [statement] = await statementsOf(() => open.store.lookForMail(look));
    if (statement === undefined) throw new Error('unreachable');
    const { plan, pages } = await planOf(statement);
    expect(plan).toMatch(/Index Scan (using|on) saga_mail_new/);
    expect(plan).not.toMatch(/Seq Scan on saga_mail/);
    // One descent of the index for each definition and 0, one page of letters and one saga. All letters lie on hundreds.
    expect(pages).toBeLessThan(40);
  });

  /** Looks until everything is passed, also what other transactions of this server hold back. */
  async function passOver(incarnation: string, name: string, from: MailMark): Promise<MailMark> {
    let mark = from;
    for (;;) {
      const definitions = definitionsOf(name);
      const look = { incarnation, definitions, format: 1, from: mark, limit: 5_000 };
      const found: MailFound = await open.store.lookForMail(look);
      ({ mark } = found);
      if (found.more) continue;
      const { rows } = await open.pool.query<{ passed: boolean }>({
        text: 'SELECT $1::xid8 > max(xact) AS passed FROM sagaz.saga_mail',
        values: [mark.split(':')[0]],
      });
      if (rows[0]?.passed === true) return mark;
    }
  }

  it('that was written without its definition, or with a wrong one, gets it, and is new again', async () => {
    const me = await open.engine();
    const name = `saga-${newId()}`;
    const [parked, ended] = [newSaga({ name, owner: me }), newSaga({ name, owner: me })];
    await open.store.start([parked, ended, newSaga({ name: 'foreign', wakeInMs: null })]);
    const ownership = { kind: 'give_back', wakeInMs: null } as const;
    await open.store.flush([
      transition(parked, me, { status: 'waiting', ownership }),
      transition(ended, me, { status: 'completed', ownership }),
    ]);
    const definitions = definitionsOf(name);
    const looked = await open.store.lookForMail({
      incarnation: me,
      definitions,
      format: 1,
      from: null,
    });
    await open.store.putMail([
      letterTo(parked.id, { definition: { name: 'foreign', version: 1 } }),
      letterTo(ended.id, { kind: 'late' }),
    ]);
    const mark = await passOver(me, name, looked.mark);
    const look = { incarnation: me, definitions, format: 1, from: mark };
    expect((await open.store.lookForMail(look)).wakes).toEqual([]);
    await open.store.dropDeadMail(3_600_000, 1);
    expect([...(await open.store.lookForMail(look)).wakes].sort()).toEqual(
      [parked.id, ended.id].sort(),
    );
    const { rows } = await open.pool.query({
      text: `SELECT DISTINCT d.name FROM sagaz.saga_mail m JOIN sagaz.definition d ON d.number = m.definition
        WHERE m.saga_id = ANY ($1::uuid[])`,
      values: [[parked.id, ended.id]],
    });
    expect(rows).toEqual([{ name }]);
  });

  it('is tidied page by page to its end', async () => {
    const running = newSaga({ wakeInMs: null });
    await open.store.start([running]);
    await open.pool.query({
      text: `INSERT INTO sagaz.saga_mail (saga_id, kind, dedupe_key, data, created_at)
        SELECT gen_random_uuid(), 'reply', 'k', '{}', now() - interval '2 days' FROM generate_series(1, 12000)`,
    });
    await open.store.putMail([letterTo(running.id)]);
    const tidy = () => open.store.dropDeadMail(86_400_000, 1);
    // Each call looks at one page and keeps its place, so that a turn is as long as its caller wants.
    const { dropped, more } = await tidy();
    expect(dropped).toBeLessThanOrEqual(5_000);
    expect(more).toBe(true);
    // The pass that other tests began ends, and one from the beginning follows.
    for (let pass = 0; pass < 2; pass += 1) while ((await tidy()).more);
    const left = await open.pool.query({
      text: "SELECT FROM sagaz.saga_mail WHERE created_at < now() - interval '1 day'",
    });
    expect(left.rows).toEqual([]);
  });
});
