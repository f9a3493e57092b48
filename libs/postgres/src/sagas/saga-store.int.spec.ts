import { randomUUID } from 'node:crypto';
import {
  newId,
  type ClaimRequest,
  type JournalEntry,
  type NewSaga,
  type OutboxMessage,
  type SagaTransition,
  type WakeChannel,
} from '@sagaz/core';
import { createDatabase, describeEachPostgres, type TestDatabase } from '@sagaz/test-support';
import pg from 'pg';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { PgTransactions, SagazPool, schemaName } from '../connection/index.js';
import { PgEngineRegistry } from '../engines/index.js';
import { Migrator } from '../migrations/index.js';
import { PgSagaStore } from './pg-saga-store.js';

const quiet = { debug() {}, info() {}, warn() {}, error() {} };
const schema = schemaName('sagaz');
const entry = (kind: string, data: string | null = null): JournalEntry => ({
  kind,
  step: null,
  attempt: 0,
  data,
});

function message(text = 'hello'): OutboxMessage {
  return {
    id: newId(),
    tenant: '',
    topic: 'inventory',
    key: 'k',
    type: 'inventory.reserve',
    source: 'orders',
    time: '2026-01-01T00:00:00.000Z',
    contentType: 'application/json',
    payload: new TextEncoder().encode(text),
    headers: { a: 'b' },
    ordered: true,
    delayMs: 0,
  };
}

function newSaga(change: Partial<NewSaga> = {}): NewSaga {
  return {
    id: newId(),
    tenant: '',
    name: 'place-order',
    version: 1,
    key: null,
    inputDigest: 'digest',
    status: 'running',
    owner: null,
    wakeInMs: 0,
    deadlineInMs: null,
    transitionId: randomUUID(),
    entries: [entry('started', '{"order":1}')],
    messages: [],
    ...change,
  };
}

function transition(
  saga: { id: string },
  owner: string,
  change: Partial<SagaTransition> = {},
): SagaTransition {
  return {
    id: randomUUID(),
    sagaId: saga.id,
    owner,
    epoch: 1,
    revision: 0,
    status: 'running',
    ownership: { kind: 'keep' },
    entries: [entry('step')],
    messages: [],
    consumedMail: [],
    ...change,
  };
}

describeEachPostgres('the saga store', (server) => {
  let db: TestDatabase;
  let pool: SagazPool;
  let transactions: PgTransactions;
  let store: PgSagaStore;
  let engines: PgEngineRegistry;
  const hints: [WakeChannel, string | undefined][] = [];

  beforeAll(async () => {
    db = await createDatabase(server);
    pool = new SagazPool({
      source: { kind: 'url', url: db.url },
      applicationName: 'saga store spec',
      connectTimeoutMs: 5_000,
      statementTimeoutMs: 30_000,
      max: 10,
      logger: quiet,
    });
    await new Migrator({ pool, schema: 'sagaz', set: 'store' }).migrate();
    transactions = new PgTransactions('postgres', pool);
    const wakeUps = {
      hint: (channel: WakeChannel, detail?: string) => {
        hints.push([channel, detail]);
      },
    };
    store = new PgSagaStore({ pool, transactions, schema, wakeUps });
    engines = new PgEngineRegistry(pool, schema);
  });
  afterAll(async () => {
    await pool.end();
    await db.drop();
  });
  beforeEach(() => {
    hints.length = 0;
  });

  async function client(): Promise<pg.Client> {
    const one = new pg.Client({ connectionString: db.url });
    one.on('error', () => undefined);
    await one.connect();
    return one;
  }
  async function outboxOf(text: string): Promise<number> {
    const { rows } = await pool.query<{ n: string }>({
      text: 'SELECT count(*) AS n FROM sagaz.outbox WHERE payload = $1',
      values: [Buffer.from(text)],
    });
    return Number(rows[0]?.n);
  }
  async function engine(): Promise<string> {
    const incarnation = randomUUID();
    await engines.register({ incarnation, service: 's', host: 'h', pid: 1, ttlMs: 60_000 });
    return incarnation;
  }
  const claimOf = (incarnation: string, name: string, limit = 100): ClaimRequest => ({
    incarnation,
    definitions: [{ name, versions: [1] }],
    limit,
  });
  async function started(count: number, owner: string): Promise<NewSaga[]> {
    const sagas = Array.from({ length: count }, () => newSaga({ owner }));
    await store.start(sagas);
    return sagas;
  }

  describe('starting', () => {
    it('keeps every field, and shows the saga with its first entry', async () => {
      const saga = newSaga({ key: `k "${newId()}" ü $1`, deadlineInMs: 60_000, version: 3 });
      expect(await store.start([saga])).toEqual([{ kind: 'started' }]);
      const found = await store.get(saga.id);
      expect(found).toMatchObject({
        id: saga.id,
        key: saga.key,
        version: 3,
        status: 'running',
        revision: 0,
        owner: null,
        epoch: 0,
      });
      expect(found?.deadlineInMs).toBeGreaterThan(50_000);
      expect(found?.createdAt).toBeInstanceOf(Date);
      expect(await store.history(saga.id)).toMatchObject([
        {
          kind: 'started',
          data: '{"order":1}',
          revision: 0,
          ordinal: 0,
          transitionId: saga.transitionId,
        },
      ]);
      expect(hints).toEqual([['saga', undefined]]);
    });

    it('answers a taken key with the saga that has it, also within one call', async () => {
      const key = newId();
      const [one, two] = [newSaga({ key }), newSaga({ key, inputDigest: 'other' })];
      const outcomes = await store.start([one, two]);
      expect(outcomes.map(({ kind }) => kind).sort()).toEqual(['exists', 'started']);
      expect(await store.start([newSaga({ key })])).toMatchObject([{ kind: 'exists' }]);
      const sameAgain = newSaga({ key: null });
      expect(await store.start([sameAgain, sameAgain])).toMatchObject([
        { kind: 'started' },
        { kind: 'exists', id: sameAgain.id },
      ]);
      expect(await store.history(sameAgain.id)).toHaveLength(1);
    });

    it('makes one saga of 20 starts at once, each with its own messages or none', async () => {
      const key = newId();
      const text = newId();
      const outcomes = await Promise.all(
        Array.from({ length: 20 }, () =>
          store.start([newSaga({ key, messages: [message(text)] })]),
        ),
      );
      expect(outcomes.flat().filter(({ kind }) => kind === 'started')).toHaveLength(1);
      expect(await outboxOf(text)).toBe(1);
    });

    it('sees the saga that a concurrent start commits while it waits for the key', async () => {
      const key = newId();
      const first = newSaga({ key });
      let second: Promise<unknown> = Promise.resolve();
      await transactions.run(async (transaction) => {
        await store.start([first], transaction);
        second = store.start([newSaga({ key })]);
        await waitUntilBlocked(pool);
      });
      expect(await second).toEqual([{ kind: 'exists', id: first.id, inputDigest: 'digest' }]);
    });

    it('leaves nothing, and hints at nothing, when the transaction rolls back', async () => {
      const saga = newSaga({ messages: [message()] });
      await expect(
        transactions.run(async (transaction) => {
          await store.start([saga], transaction);
          throw new Error('no');
        }),
      ).rejects.toThrow('no');
      expect(await store.get(saga.id)).toBeNull();
      expect(await store.history(saga.id)).toEqual([]);
      expect(hints).toEqual([]);
    });
  });

  describe('a flush', () => {
    it.each([1, 2, 50])('of %i commits row, journal, messages and mail of each saga', async (n) => {
      const owner = await engine();
      const sagas = await started(n, owner);
      await store.putMail(
        sagas.map(({ id }) => ({ sagaId: id, kind: 'reply', dedupeKey: 'a', data: '{}' })),
      );
      const mail = await store.mailOfOwned(owner);
      const text = newId();
      hints.length = 0;
      const outcomes = await store.flush(
        sagas.map((saga, at) =>
          transition(saga, owner, {
            status: at % 2 === 0 ? 'running' : 'completed',
            entries: [entry('a', '"1"'), entry('b')],
            messages: at === 0 ? [message(text), message(text)] : [],
            consumedMail: mail.filter(({ sagaId }) => sagaId === saga.id).map(({ id }) => id),
          }),
        ),
      );
      expect(outcomes).toEqual(sagas.map(() => ({ kind: 'applied' })));
      for (const [at, saga] of sagas.entries()) {
        expect(await store.get(saga.id)).toMatchObject({
          revision: 1,
          owner: at % 2 === 0 ? owner : null,
        });
        const history = await store.history(saga.id);
        expect(history.map(({ kind, revision, ordinal }) => [kind, revision, ordinal])).toEqual([
          ['started', 0, 0],
          ['a', 1, 0],
          ['b', 1, 1],
        ]);
      }
      expect(await outboxOf(text)).toBe(2);
      expect(await store.mailOfOwned(owner)).toEqual([]);
      expect(hints).toContainEqual(['outbox', undefined]);
      expect(hints.filter(([channel]) => channel === 'ended')).toHaveLength(Math.floor(n / 2));
    });

    it.each([1, 3])(
      'of %i refuses what is at another owner, epoch or revision, and writes nothing of it',
      async (n) => {
        const owner = await engine();
        const sagas = await started(n, owner);
        const text = newId();
        for (const [change, outcome] of [
          [{ owner: randomUUID() }, { kind: 'not_owner', owner, epoch: 1 }],
          [{ epoch: 2 }, { kind: 'not_owner', owner, epoch: 1 }],
          [{ revision: 1 }, { kind: 'conflict', revision: 0 }],
          [{ sagaId: newId() }, { kind: 'missing' }],
        ] as const) {
          const outcomes = await store.flush(
            sagas.map((saga) =>
              transition(saga, owner, {
                messages: [message(text)],
                ...change,
                ...('sagaId' in change ? { sagaId: newId() } : {}),
              }),
            ),
          );
          expect(outcomes).toEqual(sagas.map(() => outcome));
        }
        expect(await outboxOf(text)).toBe(0);
        for (const saga of sagas) expect(await store.history(saga.id)).toHaveLength(1);
      },
    );

    it('applies a repeated transition once, and knows it as its own', async () => {
      const owner = await engine();
      const [saga] = await started(1, owner);
      if (saga === undefined) return;
      const text = newId();
      const twice = transition(saga, owner, { messages: [message(text)] });
      expect(await store.flush([twice])).toEqual([{ kind: 'applied' }]);
      expect(await store.flush([twice])).toEqual([{ kind: 'applied' }]);
      expect(await store.settle(twice)).toEqual({ kind: 'applied' });
      expect(await outboxOf(text)).toBe(1);
      expect(await store.history(saga.id)).toHaveLength(2);
    });

    it('does not acknowledge the second of two transitions of one saga', async () => {
      const owner = await engine();
      const [saga] = await started(1, owner);
      if (saga === undefined) return;
      const outcomes = await store.flush([transition(saga, owner), transition(saga, owner)]);
      expect(outcomes).toEqual([{ kind: 'applied' }, { kind: 'busy' }]);
    });

    it('rejects a poisonous transition and keeps its 99 neighbours', async () => {
      const owner = await engine();
      const sagas = await started(100, owner);
      const outcomes = await store.flush(
        sagas.map((saga, at) =>
          transition(saga, owner, { entries: [entry('x', at === 37 ? 'a\0b' : '1')] }),
        ),
      );
      expect(outcomes.map(({ kind }) => kind)).toEqual(
        sagas.map((_, at) => (at === 37 ? 'rejected' : 'applied')),
      );
    });

    it('of 500 goes past a row that a transaction holds, and reports it busy', async () => {
      const owner = await engine();
      const sagas = await started(500, owner);
      const held = sagas[250];
      const holder = await client();
      await holder.query('BEGIN');
      await holder.query('SELECT FROM sagaz.saga WHERE id = $1 FOR UPDATE', [held?.id]);
      const outcomes = await store.flush(sagas.map((saga) => transition(saga, owner)));
      expect(outcomes.filter(({ kind }) => kind === 'applied')).toHaveLength(499);
      expect(outcomes[250]).toEqual({ kind: 'busy' });
      await holder.query('ROLLBACK');
      await holder.end();
      if (held === undefined) return;
      expect(await store.flush([transition(held, owner)])).toEqual([{ kind: 'applied' }]);
    });
  });
});

/** Resolves when some backend of this database waits for a lock. */
async function waitUntilBlocked(pool: SagazPool): Promise<void> {
  for (;;) {
    const { rows } = await pool.query({
      text: `SELECT FROM pg_stat_activity
        WHERE datname = current_database() AND cardinality(pg_blocking_pids(pid)) > 0`,
    });
    if (rows.length > 0) return;
    await new Promise((resolve) => setImmediate(resolve));
  }
}
