import { randomBytes } from 'node:crypto';
import { DEFAULT_RETENTION, type NewSaga } from '@sagaz/core';
import { describeEachPostgres } from '@sagaz/test-support';
import { afterEach, beforeEach, expect, it } from 'vitest';
import {
  entry,
  newSaga,
  openSagas,
  quiet,
  schema,
  transition,
  waitUntilBlocked,
  type OpenSagas,
} from '../sagas/sagas.fixture.js';
import { dayOf, dayPartition, DAY_MS, PartitionConversion, PartitionUpkeep } from './index.js';

describeEachPostgres('tables that are partitioned by day', (server) => {
  let open: OpenSagas;
  let me: string;
  beforeEach(async () => {
    open = await openSagas(server);
    me = await open.engine();
  });
  afterEach(() => open.close());

  const today = dayOf(Date.now());
  const large = { ...entry('step_completed', `"${'x'.repeat(5_000)}"`), onDemand: true };

  /** An id of a day, counted from today. */
  function idOf(day: number): string {
    const hex = (today + day * DAY_MS + 3_600_000).toString(16).padStart(12, '0');
    return `${hex.slice(0, 8)}-${hex.slice(8)}-7000-8000-${randomBytes(6).toString('hex')}`;
  }

  /** A saga of a day that ended then. */
  async function endedOn(day: number): Promise<NewSaga> {
    const saga = newSaga({ id: idOf(day), owner: me, entries: [entry('saga_started'), large] });
    await open.store.start([saga]);
    await open.store.flush([transition(saga, me, { status: 'completed' })]);
    await open.pool.query({
      text: `UPDATE sagaz.saga_ended SET ended_at = ended_at + $2::int * interval '1 day' WHERE id = $1`,
      values: [saga.id, day],
    });
    return saga;
  }

  async function namesLike(pattern: string): Promise<readonly string[]> {
    const { rows } = await open.pool.query<{ name: string }>({
      text: `SELECT relname::text AS name FROM pg_class
        WHERE relnamespace = 'sagaz'::regnamespace AND relkind = 'r' AND relname ~ $1 ORDER BY 1`,
      values: [pattern],
    });
    return rows.map(({ name }) => name);
  }

  const partsOf = (day: number) =>
    (['saga_ended', 'saga_journal', 'saga_output'] as const).map(
      (table) => dayPartition(table, today + day * DAY_MS).name,
    );
  const conversion = () => new PartitionConversion(open.pool, schema);
  const upkeep = () => new PartitionUpkeep(open.pool, schema, quiet);

  it('are made of the old ones while sagas start and end, which lose nothing and never fail', async () => {
    await open.pool.query({
      text: `DO $$ BEGIN IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'sagaz_partition_reader') THEN
        CREATE ROLE sagaz_partition_reader; END IF; END $$`,
    });
    await open.pool.query({ text: 'GRANT SELECT ON sagaz.saga_journal TO sagaz_partition_reader' });
    const before = await endedOn(0);
    const { store, pool } = open.another();
    const written: string[] = [];
    let going = true;
    const writers = Array.from({ length: 4 }, async () => {
      while (going) {
        const saga = newSaga({ owner: me, entries: [entry('saga_started'), large] });
        const [started] = await store.start([saga]);
        const [ended] = await store.flush([transition(saga, me, { status: 'completed' })]);
        expect([started?.kind, ended?.kind]).toEqual(['started', 'applied']);
        written.push(saga.id);
      }
    });
    const atLeast = async (count: number): Promise<void> => {
      while (written.length < count) await new Promise((resolve) => setImmediate(resolve));
    };
    await atLeast(20);
    const { converted, added } = await conversion().run({ daysAhead: 10 });
    await atLeast(written.length + 20);
    going = false;
    await Promise.all(writers);
    expect(converted).toEqual(['saga_ended', 'saga_journal', 'saga_output']);
    // The old table, and the days 7 to 10.
    expect(added).toHaveLength(3 * 5);
    const statuses = await store.statusesOf([before.id, ...written]);
    expect(statuses.size).toBe(written.length + 1);
    for (const id of [before.id, ...written.slice(-3)]) {
      expect((await store.history(id)).map(({ data }) => data)).toContain(large.data);
    }
    const { rows } = await open.pool.query<{ all: string; entries: string; granted: boolean }>({
      text: `SELECT (SELECT count(*) FROM sagaz.saga_all) AS all,
        (SELECT count(DISTINCT saga_id) FROM sagaz.saga_journal_readable) AS entries,
        has_table_privilege('sagaz_partition_reader', 'sagaz.saga_journal', 'SELECT') AS granted`,
    });
    const all = String(written.length + 1);
    expect(rows).toEqual([{ all, entries: all, granted: true }]);
    expect(await conversion().run({ daysAhead: 10 })).toEqual({ converted: [], added: [] });
    expect((await conversion().run({ daysAhead: 12 })).added).toHaveLength(3 * 2);
    await pool.end();
  });

  it('are told of before they end by a process that may not make them, once a day', async () => {
    const role = `poor_${randomBytes(4).toString('hex')}`;
    await open.pool.query({ text: `CREATE ROLE ${role} LOGIN PASSWORD 'secret'` });
    await open.pool.query({ text: `GRANT USAGE ON SCHEMA sagaz TO ${role}` });
    const told: string[] = [];
    const logger = { ...quiet, warn: (text: string) => void told.push(text) };
    const url = new URL(open.db.url);
    url.username = role;
    url.password = 'secret';
    const poor = open.another(url.href);
    const itsUpkeep = new PartitionUpkeep(poor.pool, schema, logger);
    try {
      expect(await itsUpkeep.round(DEFAULT_RETENTION)).toBe(false);
      expect(told).toEqual([]);
      await conversion().run({ daysAhead: 10 });
      for (let round = 0; round < 2; round += 1) {
        expect(await itsUpkeep.round(DEFAULT_RETENTION)).toBe(false);
      }
      expect(told).toEqual([
        expect.stringMatching(/partitions for 1[01] more days.*sagaz partition/),
      ]);
      told.length = 0;
      await conversion().run({ daysAhead: 60 });
      expect(await new PartitionUpkeep(poor.pool, schema, logger).round(DEFAULT_RETENTION)).toBe(
        false,
      );
      expect(told).toEqual([]);
    } finally {
      await poor.pool.end();
      await open.pool.query({ text: `DROP OWNED BY ${role}` });
      await open.pool.query({ text: `DROP ROLE ${role}` });
    }
  });

  it('are made in a second run where the first one was interrupted', async () => {
    const blocker = await open.client();
    await blocker.query('BEGIN');
    await blocker.query('SELECT FROM sagaz.saga_journal');
    await expect(conversion().run({ daysAhead: 8, withinMs: 0 })).rejects.toThrow(/lock timeout/);
    await blocker.query('COMMIT');
    await blocker.end();
    const saga = await endedOn(0);
    expect((await conversion().run({ daysAhead: 8 })).converted).toContain('saga_journal');
    expect((await open.store.history(saga.id)).length).toBeGreaterThan(0);
  });

  it('lose whole days that are not kept any more, and no day of a saga that goes on or is kept', async () => {
    await conversion().run({ daysAhead: 3, firstDay: -52 });
    const [old, held, kept] = [await endedOn(-50), await endedOn(-49), await endedOn(-10)];
    const running = newSaga({ id: idOf(-49), owner: me });
    await open.store.start([running]);
    for (let round = 0; round < 4; round += 1)
      expect(await upkeep().round(DEFAULT_RETENTION)).toBe(true);
    const left = await namesLike('^saga_(ended|journal|output)_[0-9]');
    for (const name of partsOf(-50)) expect(left).not.toContain(name);
    for (const day of [-49, -10, 0]) for (const name of partsOf(day)) expect(left).toContain(name);
    expect(await open.store.get(old.id)).toBeNull();
    expect(await open.store.history(old.id)).toEqual([]);
    for (const { id } of [held, kept, running]) {
      expect(await open.store.get(id)).not.toBeNull();
      expect((await open.store.history(id)).length).toBeGreaterThan(0);
    }
    // There are always days ahead.
    expect(left).toContain(dayPartition('saga_ended', today + 60 * DAY_MS).name);
    await open.store.flush([transition(running, me, { status: 'completed' })]);
    await open.pool.query({
      text: `UPDATE sagaz.saga_ended SET ended_at = now() - interval '40 days' WHERE id = '${running.id}'`,
    });
    await upkeep().round(DEFAULT_RETENTION);
    expect(await open.store.get(held.id)).toBeNull();
  });

  it('let writers go on while a day is detached beside a transaction that uses it', async () => {
    await conversion().run({ daysAhead: 3, firstDay: -52 });
    await endedOn(-50);
    const reader = await open.client();
    await reader.query('BEGIN');
    await reader.query('SELECT FROM sagaz.saga_ended');
    const round = upkeep().round(DEFAULT_RETENTION);
    await waitUntilBlocked(open.pool);
    const saga = newSaga({ owner: me });
    expect(await open.store.start([saga])).toEqual([{ kind: 'started' }]);
    expect(await open.store.flush([transition(saga, me, { status: 'completed' })])).toEqual([
      { kind: 'applied' },
    ]);
    await reader.query('COMMIT');
    await reader.end();
    expect(await round).toBe(true);
  });

  it('go on with a detach that was interrupted, and with a day that was detached and not dropped', async () => {
    await conversion().run({ daysAhead: 3, firstDay: -52 });
    const [one, two] = [await endedOn(-50), await endedOn(-45)];
    const [pending = '', , output = ''] = partsOf(-50);
    const reader = await open.client();
    await reader.query('BEGIN');
    await reader.query('SELECT FROM sagaz.saga_ended');
    const detaching = await open.client();
    await detaching.query(`SET statement_timeout = 300`);
    await expect(
      detaching.query(
        `ALTER TABLE sagaz.saga_ended DETACH PARTITION sagaz.${pending} CONCURRENTLY`,
      ),
    ).rejects.toThrow(/statement timeout/);
    await reader.query('COMMIT');
    await reader.end();
    await detaching.end();
    await open.pool.query({
      text: `ALTER TABLE sagaz.saga_output DETACH PARTITION sagaz.${output}`,
    });
    for (let round = 0; round < 4; round += 1) await upkeep().round(DEFAULT_RETENTION);
    const left = await namesLike('^saga_(ended|journal|output)_[0-9]');
    for (const name of [...partsOf(-50), ...partsOf(-45)]) expect(left).not.toContain(name);
    for (const { id } of [one, two]) expect(await open.store.get(id)).toBeNull();
  });

  it('put a day back in which a saga came back before it was detached', async () => {
    await conversion().run({ daysAhead: 3, firstDay: -52 });
    await endedOn(-50);
    const back = newSaga({ id: idOf(-50), owner: me });
    await open.store.start([back]);
    // The process that detached it died before it looked again.
    const [ended = '', journal = ''] = partsOf(-50);
    await open.pool.query({
      text: `ALTER TABLE sagaz.saga_journal DETACH PARTITION sagaz.${journal}`,
    });
    await open.pool.query({ text: `ALTER TABLE sagaz.saga_ended DETACH PARTITION sagaz.${ended}` });
    await upkeep().round(DEFAULT_RETENTION);
    expect((await open.store.history(back.id)).length).toBe(1);
    expect(await namesLike('^saga_journal_[0-9]')).toContain(journal);
  });

  it('lose rows one by one only where they hold up a day for two more days', async () => {
    expect(await upkeep().round(DEFAULT_RETENTION)).toBe(false);
    await conversion().run({ daysAhead: 3, firstDay: -52 });
    const [held, longer] = [await endedOn(-50), await endedOn(-50)];
    await open.store.start([newSaga({ id: idOf(-50), owner: me })]);
    await open.pool.query({
      text: `UPDATE sagaz.saga_ended SET ended_at = now() - interval '31 days' WHERE id = $1`,
      values: [held.id],
    });
    expect((await open.store.removeOld(DEFAULT_RETENTION, 10)).sagas).toBe(1);
    expect(await open.store.get(held.id)).not.toBeNull();
    expect(await open.store.get(longer.id)).toBeNull();
  });
});
