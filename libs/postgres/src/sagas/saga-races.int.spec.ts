import { randomUUID } from 'node:crypto';
import {
  CommitUnknownError,
  newId,
  TransactionAbortedError,
  type SagaTransition,
} from '@sagaz/core';
import { describeEachPostgres } from '@sagaz/test-support';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { severableProxy } from '../connection/severable-proxy.fixture.js';
import {
  claimOf,
  entry,
  message,
  newSaga,
  openSagas,
  settledAtLast,
  transition,
  waitUntilBlocked,
  type OpenSagas,
} from './sagas.fixture.js';

describeEachPostgres('a transition under races', (server) => {
  let open: OpenSagas;
  let store: OpenSagas['store'];

  beforeAll(async () => {
    open = await openSagas(server);
    ({ store } = open);
  });
  afterAll(() => open.close());

  async function one(): Promise<{ owner: string; id: string }> {
    const owner = await open.engine();
    const [saga] = await open.started(1, owner);
    return { owner, id: saga?.id ?? '' };
  }

  describe('whose client died while the server went on with the statement', () => {
    // Entries of the kind "gated" wait inside the statement, after the saga's row was locked.
    beforeAll(async () => {
      await open.pool.query({
        text: `CREATE FUNCTION pass_gate() RETURNS trigger LANGUAGE plpgsql AS $$
            BEGIN PERFORM pg_advisory_xact_lock_shared(42); RETURN NEW; END $$;
          CREATE TRIGGER gate BEFORE INSERT ON sagaz.saga_journal FOR EACH ROW
            WHEN (NEW.entries LIKE '[["gated"%') EXECUTE FUNCTION pass_gate()`,
      });
    });

    async function closedGate(): Promise<{ open(): Promise<void> }> {
      const client = await open.client();
      await client.query('SELECT pg_advisory_lock(42)');
      return { open: () => client.end() };
    }

    it('is waited for by settling, found applied, and a repeat changes nothing', async () => {
      const { owner, id } = await one();
      const text = newId();
      const entries = [entry('gated')];
      const lost = transition({ id }, owner, { messages: [message(text)], entries });
      const gate = await closedGate();
      const proxy = await severableProxy(open.db.url);
      const remote = open.another(proxy.url);
      const dying = remote.store.flush([lost]).catch((error: unknown) => error);
      await waitUntilBlocked(open.pool);
      proxy.sever();
      expect(await dying).toBeInstanceOf(Error);
      const settling = settledAtLast(store, lost);
      await waitUntilBlocked(open.pool, 2);
      await gate.open();
      expect(await settling).toEqual({ kind: 'applied' });
      expect(await store.flush([lost])).toEqual([{ kind: 'conflict', revision: 1 }]);
      expect(await open.outboxOf(text)).toBe(1);
      expect(await store.history(id)).toHaveLength(2);
      await proxy.close();
      await remote.pool.end();
    });

    it('and that had not yet locked the row, applies once although it is repeated beside it', async () => {
      const { owner, id } = await one();
      const text = newId();
      const lost = transition({ id }, owner, { messages: [message(text)] });
      const proxy = await severableProxy(open.db.url);
      const remote = open.another(proxy.url);
      const holder = await open.client();
      await holder.query('BEGIN; LOCK TABLE sagaz.saga_journal IN SHARE MODE');
      const dying = remote.store.flush([lost]).catch((error: unknown) => error);
      await waitUntilBlocked(open.pool);
      proxy.sever();
      expect(await dying).toBeInstanceOf(Error);
      // Nothing holds the row: a look cannot know of the statement that is still to come.
      expect(await store.settle(lost)).toEqual({ kind: 'not_applied' });
      const repeating = store.flush([lost]);
      await waitUntilBlocked(open.pool, 2);
      await holder.query('COMMIT');
      await holder.end();
      expect((await repeating)[0]?.kind).toMatch(/applied|busy|conflict/);
      await expect.poll(async () => (await store.get(id))?.revision).toBe(1);
      expect(await store.settle(lost)).toEqual({ kind: 'applied' });
      expect(await open.outboxOf(text)).toBe(1);
      expect(await store.history(id)).toHaveLength(2);
      await proxy.close();
      await remote.pool.end();
    });

    it('is settled as applied where only the answer to COMMIT was lost', async () => {
      const { owner, id } = await one();
      const step = transition({ id }, owner);
      const proxy = await severableProxy(open.db.url);
      const remote = open.another(proxy.url);
      const running = remote.transactions.run(async (transaction) => {
        expect(await remote.store.apply(step, transaction)).toEqual({ kind: 'applied' });
        proxy.severAfterNextRequest();
      });
      await expect(running).rejects.toBeInstanceOf(CommitUnknownError);
      expect(await store.settle(step)).toEqual({ kind: 'applied' });
      await proxy.close();
      await remote.pool.end();
    });
  });

  it('is found by settling although it commits only while settling waits', async () => {
    const { owner, id } = await one();
    const slow = transition({ id }, owner);
    let settling: Promise<unknown> = Promise.resolve();
    await open.transactions.run(async (transaction) => {
      expect(await store.apply(slow, transaction)).toEqual({ kind: 'applied' });
      settling = settledAtLast(store, slow);
      await waitUntilBlocked(open.pool);
    });
    expect(await settling).toEqual({ kind: 'applied' });
  });

  it('may be repeated when settling finds that it never came', async () => {
    const { owner, id } = await one();
    const never = transition({ id }, owner);
    expect(await store.settle(never)).toEqual({ kind: 'not_applied' });
    expect(await store.settle({ ...never, owner: randomUUID() })).toMatchObject({
      kind: 'not_owner',
    });
    expect(await store.settle({ ...never, revision: 4 })).toEqual({
      kind: 'conflict',
      revision: 0,
    });
    expect(await store.settle({ ...never, sagaId: newId() })).toEqual({ kind: 'missing' });
  });

  it('never deadlocks with others: three writers, overlapping sets, opposite orders', async () => {
    const owner = await open.engine();
    const sagas = await open.started(60, owner);
    const revisions = new Map(sagas.map(({ id }) => [id, 0]));
    const errors: unknown[] = [];
    const writer = async (order: (list: typeof sagas) => typeof sagas): Promise<void> => {
      for (let round = 0; round < 20; round += 1) {
        const mine = order(sagas).filter(() => Math.random() < 0.7);
        const transitions = mine.map((saga) =>
          transition(saga, owner, { revision: revisions.get(saga.id) ?? 0 }),
        );
        try {
          const outcomes = await store.flush(transitions);
          for (const [at, outcome] of outcomes.entries()) {
            const id = transitions[at]?.sagaId ?? '';
            if (outcome.kind === 'applied') {
              revisions.set(
                id,
                Math.max(revisions.get(id) ?? 0, (transitions[at]?.revision ?? 0) + 1),
              );
            }
          }
        } catch (error) {
          errors.push(error);
        }
      }
    };
    await Promise.all([
      writer((list) => list),
      writer((list) => [...list].reverse()),
      writer((list) => [...list].sort(() => Math.random() - 0.5)),
    ]);
    expect(errors).toEqual([]);
    for (const { id } of sagas) {
      const found = await store.get(id);
      expect(await store.history(id)).toHaveLength((found?.revision ?? 0) + 1);
    }
  });

  describe('as the last statement of a transaction', () => {
    it('commits with the business write, its messages and its entries, or not at all', async () => {
      const { owner, id } = await one();
      const text = newId();
      const step = transition({ id }, owner, {
        messages: [message(text)],
        entries: [entry('done')],
      });
      await expect(
        open.transactions.run(async (transaction) => {
          expect(await store.apply(step, transaction)).toEqual({ kind: 'applied' });
          throw new Error('before commit');
        }),
      ).rejects.toThrow('before commit');
      expect(await store.get(id)).toMatchObject({ revision: 0 });
      expect(await open.outboxOf(text)).toBe(0);
      await open.transactions.run(async (transaction) => {
        await store.apply(step, transaction);
      });
      expect(await store.get(id)).toMatchObject({ revision: 1 });
      expect(await open.outboxOf(text)).toBe(1);
    });

    it('refuses a zombie, whose saga was adopted while its step ran', async () => {
      const { owner, id } = await one();
      const zombie = transition({ id }, owner);
      await open.engines.retire(owner);
      const adopter = await open.engine();
      const outcome = await open.transactions.run(async (transaction) => {
        await store.claim(claimOf(adopter, 'place-order', 1_000));
        return store.apply(zombie, transaction);
      });
      expect(outcome).toEqual({ kind: 'not_owner', owner: adopter, epoch: 2 });
    });

    it('waits for the row, and lets the zombie see what an adopter commits meanwhile', async () => {
      const { owner, id } = await one();
      const adopter = await open.engine();
      const holder = await open.client();
      await holder.query('BEGIN');
      await holder.query('UPDATE sagaz.saga SET owner = $2, epoch = epoch + 1 WHERE id = $1', [
        id,
        adopter,
      ]);
      const applying = open.transactions.run((transaction) =>
        store.apply(transition({ id }, owner), transaction),
      );
      await waitUntilBlocked(open.pool);
      await holder.query('COMMIT');
      await holder.end();
      expect(await applying).toEqual({ kind: 'not_owner', owner: adopter, epoch: 2 });
    });

    it('refuses to go on in a transaction in which a statement had failed', async () => {
      const { owner, id } = await one();
      const run = open.transactions.run(async (transaction) => {
        const own = open.transactions.own(transaction);
        await own.query({ text: 'SELECT 1/0' }).catch(() => undefined);
        return store.apply(transition({ id }, owner), transaction);
      });
      await expect(run).rejects.toBeInstanceOf(TransactionAbortedError);
    });

    it('fails with a serialization failure, to be run again, where the user chose REPEATABLE READ', async () => {
      const { owner, id } = await one();
      const user = await open.client();
      await user.query('BEGIN ISOLATION LEVEL REPEATABLE READ');
      await user.query('SELECT FROM sagaz.saga');
      await store.flush([transition({ id }, owner)]);
      const late = store.apply(
        transition({ id }, owner, { revision: 1 }),
        open.transactions.enlist(user),
      );
      await expect(late).rejects.toMatchObject({ code: '40001' });
      await user.end();
    });

    it('lets the server end a transaction whose client froze before COMMIT', async () => {
      const { owner, id } = await one();
      const frozen = await open.client();
      await frozen.query('BEGIN');
      await store.apply(transition({ id }, owner), open.transactions.enlist(frozen));
      const { rows } = await frozen.query(
        "SELECT current_setting('idle_in_transaction_session_timeout') AS silence, current_setting('lock_timeout') AS wait",
      );
      expect(rows).toEqual([{ silence: '5s', wait: '1s' }]);
      await frozen.query('ROLLBACK');
      const after = await frozen.query("SELECT current_setting('lock_timeout') AS wait");
      expect(after.rows).toEqual([{ wait: '0' }]);
      await frozen.end();
    });
  });

  describe('is planned so that', () => {
    async function plan(transitions: readonly SagaTransition[]): Promise<string> {
      const client = await open.client();
      const statements: string[] = [];
      const { TransitionSql } = await import('./transition-sql.js');
      const { manyValues, partsOf } = await import('./transition-values.js');
      const { schema } = await import('./sagas.fixture.js');
      const parts = partsOf(transitions);
      const { text, values } = new TransitionSql(schema)
        .many(parts)
        .with(manyValues(transitions, parts, null));
      const { rows } = await client.query<{ 'QUERY PLAN': string }>(
        `EXPLAIN ${text}`,
        values ?? [],
      );
      for (const row of rows) statements.push(row['QUERY PLAN']);
      await client.end();
      return statements.join('\n');
    }

    it('the rows are found by their key, locked in order, and updated where they lie', async () => {
      const owner = await open.engine();
      const sagas = await open.started(3_000, owner);
      await open.pool.query({ text: 'ANALYZE sagaz.saga' });
      const text = await plan(sagas.slice(0, 50).map((saga) => transition(saga, owner)));
      expect(text).toMatch(/LockRows[\s\S]*saga_pkey/);
      expect(text).toMatch(/Tid Scan on saga|TID Cond/);
      expect(text).not.toMatch(/Seq Scan on saga\b/);
    });

    it('most updates of a saga touch no index', async () => {
      // A database of its own: the server may count the updates of a connection only seconds later,
      // so that those of the other tests would be among them.
      const alone = await openSagas(server);
      const owner = await alone.engine();
      const sagas = await alone.started(200, owner);
      // Few of each page, so that the free space is enough without cleaning up old versions, which
      // any open snapshot puts off.
      const some = sagas.filter((_, at) => at % 10 === 0);
      for (let revision = 0; revision < 2; revision += 1) {
        await alone.store.flush(some.map((saga) => transition(saga, owner, { revision })));
      }
      // The server counts the updates of a connection at the latest when it ends.
      await alone.pool.end();
      const client = await alone.client();
      const counts = async (): Promise<unknown> => {
        const { rows } = await client.query(
          `SELECT n_tup_upd::int AS updates, n_tup_hot_upd::int AS hot
            FROM pg_stat_user_tables WHERE schemaname = 'sagaz' AND relname = 'saga'`,
        );
        return rows[0];
      };
      await expect.poll(counts).toEqual({ updates: 40, hot: 40 });
      await client.end();
      await alone.db.drop();
    });
  });

  it("of a saga in the caller's own start is refused once that start rolled back", async () => {
    const owner = await open.engine();
    const saga = newSaga({ owner });
    await expect(
      open.transactions.run(async (transaction) => {
        await store.start([saga], transaction);
        throw new Error('rolled back');
      }),
    ).rejects.toThrow();
    expect(await store.flush([transition(saga, owner)])).toEqual([{ kind: 'missing' }]);
  });
});
