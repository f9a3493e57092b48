import { randomUUID } from 'node:crypto';
import { newId, type NewMail } from '@sagaz/core';
import { describeEachPostgres } from '@sagaz/test-support';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import {
  claimOf,
  claimWithMail,
  entry,
  newSaga,
  openSagas,
  transition,
  unreadMail,
  waitUntilBlocked,
  type OpenSagas,
} from './sagas.fixture.js';

describeEachPostgres('ownership of sagas', (server) => {
  let open: OpenSagas;
  let store: OpenSagas['store'];
  const reply = (sagaId: string, dedupeKey = 'reply:a', data = '1'): NewMail => ({
    sagaId,
    kind: 'reply',
    dedupeKey,
    data,
  });

  beforeAll(async () => {
    open = await openSagas(server);
    ({ store } = open);
  });
  afterAll(() => open.close());

  /** An unowned saga of a definition that no other test claims. */
  async function parked(wakeInMs: number | null): Promise<{ id: string; name: string }> {
    const saga = newSaga({ name: `saga-${newId()}`, wakeInMs });
    await store.start([saga]);
    return saga;
  }

  describe('claiming', () => {
    it('takes what is due, with its journal and mail, and raises the epoch', async () => {
      const { id, name } = await parked(0);
      await store.putMail([reply(id)]);
      const me = await open.engine();
      const claimed = await store.claim(claimOf(me, name));
      expect(claimed).toMatchObject([
        {
          id,
          name,
          owner: me,
          epoch: 1,
          revision: 0,
          adoptedFrom: null,
          entries: [{ kind: 'started' }],
          mail: [{ sagaId: id, kind: 'reply', dedupeKey: 'reply:a', data: '1' }],
        },
      ]);
      expect(await store.owned(me)).toEqual([id]);
      expect(await store.claim(claimOf(await open.engine(), name))).toEqual([]);
    });

    it('leaves what is not due, until its time comes or mail lies there', async () => {
      const me = await open.engine();
      const later = await parked(3_600_000);
      const never = await parked(null);
      expect(await store.claim(claimOf(me, later.name))).toEqual([]);
      expect(await store.claim(claimOf(me, never.name))).toEqual([]);
      await store.putMail([reply(later.id), reply(never.id)]);
      expect(await claimWithMail(store, claimOf(me, later.name))).toMatchObject([{ id: later.id }]);
      expect(await claimWithMail(store, claimOf(me, never.name))).toMatchObject([{ id: never.id }]);
    });

    it('takes only definitions and versions that the engine can run', async () => {
      const { name } = await parked(0);
      const me = await open.engine();
      const definitions = [{ name, versions: [2, 3] }];
      const request = { incarnation: me, format: 1, limit: 10 };
      expect(await store.claim({ ...request, definitions })).toEqual([]);
      expect(await store.claim({ ...request, definitions: [] })).toEqual([]);
      expect(await store.claim(claimOf(me, name, 0))).toEqual([]);
    });

    it('divides 60 due sagas among six engines at once, none twice', async () => {
      const name = `saga-${newId()}`;
      await store.start(Array.from({ length: 60 }, () => newSaga({ name })));
      const engines = await Promise.all(Array.from({ length: 6 }, () => open.engine()));
      const taken: string[] = [];
      while (taken.length < 60) {
        const rounds = await Promise.all(engines.map((me) => store.claim(claimOf(me, name, 5))));
        taken.push(...rounds.flat().map(({ id }) => id));
      }
      expect(new Set(taken).size).toBe(60);
      expect(taken).toHaveLength(60);
    });

    it('does not wait for a saga that somebody has locked', async () => {
      const { id, name } = await parked(0);
      const holder = await open.client();
      await holder.query('BEGIN');
      await holder.query('SELECT FROM sagaz.saga WHERE id = $1 FOR UPDATE', [id]);
      expect(await store.claim(claimOf(await open.engine(), name))).toEqual([]);
      await holder.end();
    });

    it('never takes a saga that has ended, whatever lies in its mailbox', async () => {
      const me = await open.engine();
      for (const status of [
        'completed',
        'compensated',
        'partially_committed',
        'terminated',
      ] as const) {
        const name = `saga-${newId()}`;
        const saga = newSaga({ name, owner: me });
        await store.start([saga]);
        const end = transition(saga, me, { status, ownership: { kind: 'give_back', wakeInMs: 0 } });
        expect(await store.flush([end])).toEqual([{ kind: 'applied' }]);
        await store.putMail([reply(saga.id)]);
        expect(await claimWithMail(store, claimOf(await open.engine(), name))).toEqual([]);
      }
      expect(await store.owned(me)).toEqual([]);
    });
  });

  describe('adoption', () => {
    it('takes the sagas of an engine that is declared dead, and names it', async () => {
      const dead = await open.engine();
      const name = `saga-${newId()}`;
      const saga = newSaga({ name, owner: dead });
      await store.start([saga]);
      const me = await open.engine();
      expect(await store.claim(claimOf(me, name))).toEqual([]);
      await open.engines.retire(dead);
      expect(await store.claim(claimOf(me, name))).toMatchObject([
        { id: saga.id, owner: me, epoch: 2, adoptedFrom: dead },
      ]);
    });

    it('also takes what a slow transaction commits for an engine long after its death', async () => {
      const dead = await open.engine();
      const name = `saga-${newId()}`;
      const me = await open.engine();
      await open.transactions.run(async (transaction) => {
        await store.start([newSaga({ name, owner: dead })], transaction);
        await open.engines.retire(dead);
        // A sweep at the time of the death finds nothing; it must not have been the only one.
        expect(await store.claim(claimOf(me, name))).toEqual([]);
      });
      expect(await store.claim(claimOf(me, name))).toMatchObject([{ adoptedFrom: dead }]);
    });

    it('reads nothing but what it takes, beside 20,000 sagas that sleep', async () => {
      const me = await open.engine();
      const name = `saga-${newId()}`;
      await open.pool.query({
        text: `WITH d AS (INSERT INTO sagaz.definition (name, version) VALUES ('sleeper', 1) RETURNING number)
          INSERT INTO sagaz.saga (id, definition, tenant, status, revision, epoch, wake_at)
          SELECT gen_random_uuid(), number, '', 'waiting', 3, 1, now() + interval '1 day'
          FROM d CROSS JOIN generate_series(1, 20000) AS n`,
      });
      await open.started(1_000, me);
      await open.pool.query({ text: 'ANALYZE sagaz.saga' });
      await store.start([newSaga({ name })]);
      const asked = vi.spyOn(open.pool, 'query');
      await store.claim({
        ...claimOf(me, name),
        definitions: [{ name: 'sleeper', versions: [1] }],
      });
      const statement = asked.mock.calls.at(-1)?.[0];
      asked.mockRestore();
      const { rows } = await open.pool.query<{ 'QUERY PLAN': string }>({
        text: `EXPLAIN (ANALYZE, BUFFERS) ${statement?.text ?? ''}`,
        values: statement?.values ?? [],
      });
      const plan = rows.map((row) => row['QUERY PLAN']).join('\n');
      expect(plan).toMatch(/saga_due/);
      expect(plan).toMatch(/saga_owner/);
      expect(plan).not.toMatch(/Seq Scan on saga s/);
      // All 20,000 lie on hundreds of pages; walking any index over them reads thousands.
      const pages = Number(/Buffers: shared hit=(\d+)/.exec(plan)?.[1]);
      expect(pages).toBeLessThan(200);
    });

    it('finds the orphans of one dead engine among 200 living ones without reading their sagas', async () => {
      // One after the other: 200 at once would wait for a connection of the pool, which has a time limit.
      const living: string[] = [];
      for (let engine = 0; engine < 200; engine += 1) living.push(await open.engine());
      await store.start(living.flatMap((owner) => [newSaga({ owner }), newSaga({ owner })]));
      const dead = randomUUID();
      const name = `saga-${newId()}`;
      await store.start([newSaga({ name, owner: dead })]);
      const claimed = await store.claim(claimOf(await open.engine(), name));
      expect(claimed).toMatchObject([{ adoptedFrom: dead }]);
    });
  });

  describe('parking', () => {
    it('loses no reply: one that commits while the park is under way makes the saga due', async () => {
      const me = await open.engine();
      const name = `saga-${newId()}`;
      const saga = newSaga({ name, owner: me });
      await store.start([saga]);
      const park = transition(saga, me, {
        status: 'waiting',
        ownership: { kind: 'give_back', wakeInMs: null },
      });
      await open.transactions.run(async (transaction) => {
        await store.putMail([reply(saga.id)], transaction);
        // Putting mail locks no saga row, so that the park does not wait for it.
        expect(await store.flush([park])).toEqual([{ kind: 'applied' }]);
        expect(await claimWithMail(store, claimOf(me, name))).toEqual([]);
      });
      expect(await claimWithMail(store, claimOf(me, name))).toMatchObject([
        { id: saga.id, epoch: 2, mail: [{ kind: 'reply' }] },
      ]);
    });

    it('says when the next saga is due', async () => {
      const name = `saga-${newId()}`;
      await store.start([newSaga({ name, wakeInMs: 1 })]);
      const due = await store.nextDueInMs([{ name, versions: [1] }], 1);
      expect(due).not.toBeNull();
      expect(due).toBeLessThanOrEqual(1);
    });
  });

  describe('mail', () => {
    it('keeps the first answer of a key, also when two come at once', async () => {
      const me = await open.engine();
      const [saga] = await open.started(1, me);
      const id = saga?.id ?? '';
      let second: Promise<void> = Promise.resolve();
      await open.transactions.run(async (transaction) => {
        await store.putMail([reply(id, 'k', 'first')], transaction);
        second = store.putMail([reply(id, 'k', 'second'), reply(id, 'other')]);
        await waitUntilBlocked(open.pool);
      });
      await second;
      expect((await unreadMail(store, me)).map(({ dedupeKey, data }) => [dedupeKey, data])).toEqual(
        [
          ['k', 'first'],
          ['other', '1'],
        ],
      );
    });

    it('stays when the transition that would consume it is refused', async () => {
      const me = await open.engine();
      const [saga] = await open.started(1, me);
      if (saga === undefined) return;
      await store.putMail([reply(saga.id)]);
      const [mail] = await unreadMail(store, me);
      const consumedMail = [mail?.id ?? ''];
      await store.flush([transition(saga, me, { revision: 9, consumedMail })]);
      expect(await unreadMail(store, me)).toHaveLength(1);
      await store.flush([transition(saga, me, { consumedMail, entries: [entry('reply')] })]);
      expect(await unreadMail(store, me)).toEqual([]);
    });

    it('is dropped when its saga has ended, or never came', async () => {
      const me = await open.engine();
      const [ended, alive] = await open.started(2, me);
      if (ended === undefined || alive === undefined) return;
      await store.flush([transition(ended, me, { status: 'completed' })]);
      const ghost = newId();
      await store.putMail([reply(ended.id), reply(alive.id), reply(ghost)]);
      await store.dropDeadMail(3_600_000, 1);
      const { rows } = await open.pool.query({
        text: 'SELECT saga_id FROM sagaz.saga_mail WHERE saga_id = ANY ($1::uuid[]) ORDER BY id',
        values: [[ended.id, alive.id, ghost]],
      });
      expect(rows).toEqual([{ saga_id: alive.id }, { saga_id: ghost }]);
      expect((await store.dropDeadMail(-1, 1)).dropped).toBeGreaterThanOrEqual(1);
      expect(await unreadMail(store, me)).toMatchObject([{ sagaId: alive.id }]);
    });
  });

  describe('the registry', () => {
    it('declares dead what stood still past its time, and then takes no beat of it', async () => {
      const me = await open.engine(0);
      await expect
        .poll(async () => (await open.engines.observe()).find((one) => one.incarnation === me))
        .toMatchObject({ beat: '1', overdue: true });
      expect(await open.engines.declareDead(me, '1')).toBe(true);
      expect(await open.engines.beat(me)).toBe(false);
      expect(await open.engines.declareDead(me, '1')).toBe(false);
    });

    it('spares an engine that beat since it was observed, or is in time', async () => {
      const late = await open.engine(0);
      expect(await open.engines.beat(late)).toBe(true);
      expect(await open.engines.declareDead(late, '1')).toBe(false);
      const punctual = await open.engine();
      expect(await open.engines.declareDead(punctual, '1')).toBe(false);
    });

    it('does not wait for a heartbeat that was first, and the heartbeat wins', async () => {
      const me = await open.engine(0);
      const beating = await open.client();
      await beating.query('BEGIN');
      await beating.query('UPDATE sagaz.engine SET beat = beat + 1 WHERE incarnation = $1', [me]);
      expect(await open.engines.declareDead(me, '1')).toBe(false);
      await beating.query('COMMIT');
      await beating.end();
      expect(await open.engines.declareDead(me, '1')).toBe(false);
      expect(await open.engines.declareDead(me, '2')).toBe(true);
    });
  });

  describe('reading', () => {
    it('finds sagas newest first, by name, key and status, page by page', async () => {
      const me = await open.engine();
      const name = `saga-${newId()}`;
      const sagas = Array.from({ length: 5 }, (_, at) =>
        newSaga({ name, key: `k${String(at)}`, owner: me }),
      );
      await store.start(sagas);
      const [first] = sagas;
      if (first === undefined) return;
      await store.flush([transition(first, me, { status: 'completed' })]);
      const newest = [...sagas].reverse().map(({ id }) => id);
      expect((await store.find({ name })).map(({ id }) => id)).toEqual(newest);
      const page = await store.find({ name, limit: 2 });
      const before = page.at(-1)?.id ?? '';
      expect((await store.find({ name, limit: 2, before })).map(({ id }) => id)).toEqual(
        newest.slice(2, 4),
      );
      expect(await store.find({ name, key: 'k3' })).toHaveLength(1);
      expect(await store.find({ name, statuses: ['completed'] })).toMatchObject([{ id: first.id }]);
      expect(await store.find({ name, tenant: 'nobody' })).toEqual([]);
      expect((await store.countByStatus()).get('running')).toBeGreaterThanOrEqual(4);
    });

    it('answers that there is no saga of an id that is none', async () => {
      expect(await store.get('no uuid')).toBeNull();
      expect(await store.history("'; DROP TABLE saga")).toEqual([]);
      expect(await store.get(newId())).toBeNull();
    });
  });
});
