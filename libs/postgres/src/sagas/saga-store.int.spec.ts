import { randomBytes, randomUUID } from 'node:crypto';
import { newId } from '@sagaz/core';
import { describeEachPostgres } from '@sagaz/test-support';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import {
  entry,
  message,
  newSaga,
  openSagas,
  transition,
  unreadMail,
  waitUntilBlocked,
  type OpenSagas,
} from './sagas.fixture.js';

describeEachPostgres('the saga store', (server) => {
  let open: OpenSagas;
  let store: OpenSagas['store'];
  let engine: OpenSagas['engine'];
  let started: OpenSagas['started'];
  let outboxOf: OpenSagas['outboxOf'];

  beforeAll(async () => {
    open = await openSagas(server);
    ({ store, engine, started, outboxOf } = open);
  });
  afterAll(() => open.close());
  beforeEach(() => {
    open.hints.length = 0;
  });

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
      expect(open.hints).toEqual([['saga', undefined]]);
    });

    it('holds the longest tenant, name and key that are allowed', async () => {
      const text = (length: number): string =>
        randomBytes(length).toString('base64url').slice(0, length);
      const saga = newSaga({ name: text(100), tenant: text(1_000), key: text(1_000) });
      expect(await store.start([saga])).toEqual([{ kind: 'started' }]);
      const again = newSaga({ name: saga.name, tenant: saga.tenant, key: saga.key });
      expect(await store.start([again])).toMatchObject([{ kind: 'exists', id: saga.id }]);
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
      expect(await store.start([newSaga({ key })])).toMatchObject([{ kind: 'exists' }]);
      expect(outcomes.flat().filter(({ kind }) => kind === 'started')).toHaveLength(1);
      expect(await outboxOf(text)).toBe(1);
    });

    it('sees the saga that a concurrent start commits while it waits for the key', async () => {
      const key = newId();
      const first = newSaga({ key });
      let second: Promise<unknown> = Promise.resolve();
      await open.transactions.run(async (transaction) => {
        await store.start([first], transaction);
        second = open.transactions.run((other) => store.start([newSaga({ key })], other));
        await waitUntilBlocked(open.pool);
      });
      expect(await second).toEqual([
        { kind: 'exists', id: first.id, inputDigest: 'digest', sameStart: false },
      ]);
    });

    it('leaves nothing, and hints at nothing, when the transaction rolls back', async () => {
      const saga = newSaga({ messages: [message()] });
      await expect(
        open.transactions.run(async (transaction) => {
          await store.start([saga], transaction);
          throw new Error('no');
        }),
      ).rejects.toThrow('no');
      expect(await store.get(saga.id)).toBeNull();
      expect(await store.history(saga.id)).toEqual([]);
      expect(open.hints).toEqual([]);
    });
  });

  describe('a flush', () => {
    it.each([
      { n: 1, which: 'that goes on', ends: () => false },
      { n: 1, which: 'that ends', ends: () => true },
      { n: 3, which: 'that go on', ends: () => false },
      { n: 3, which: 'that end', ends: () => true },
      { n: 50, which: 'of both kinds', ends: (at: number) => at % 2 === 1 },
    ])('of $n $which commits row, journal, messages and mail of each saga', async ({ n, ends }) => {
      const owner = await engine();
      const sagas = await started(n, owner);
      await store.putMail(
        sagas.map(({ id }) => ({ sagaId: id, kind: 'reply', dedupeKey: 'a', data: '{}' })),
      );
      const mail = await unreadMail(store, owner);
      const text = newId();
      open.hints.length = 0;
      const outcomes = await store.flush(
        sagas.map((saga, at) =>
          transition(saga, owner, {
            status: ends(at) ? 'completed' : 'running',
            entries: [entry('a', '"1"'), entry('b')],
            messages: at === 0 ? [message(text), message(text)] : [],
            consumedMail: mail.filter(({ sagaId }) => sagaId === saga.id).map(({ id }) => id),
          }),
        ),
      );
      expect(outcomes).toEqual(sagas.map(() => ({ kind: 'applied' })));
      for (const [at, saga] of sagas.entries()) {
        expect(await store.get(saga.id)).toMatchObject(
          ends(at)
            ? { revision: 1, status: 'completed', owner: null }
            : { revision: 1, status: 'running', owner },
        );
        const history = await store.history(saga.id);
        expect(history.map(({ kind, revision, ordinal }) => [kind, revision, ordinal])).toEqual([
          ['started', 0, 0],
          ['a', 1, 0],
          ['b', 1, 1],
        ]);
      }
      expect(await outboxOf(text)).toBe(2);
      expect(await unreadMail(store, owner)).toEqual([]);
      expect(open.hints).toContainEqual(['outbox', expect.stringMatching(/^\d+$/)]);
      // Engines tell of ends, and a second hint would wake every process once more.
      expect(open.hints.filter(([channel]) => channel === 'ended')).toEqual([]);
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

    it('applies a repeated transition once, and finds it when it is looked for', async () => {
      const owner = await engine();
      const [saga] = await started(1, owner);
      if (saga === undefined) return;
      const text = newId();
      const twice = transition(saga, owner, { messages: [message(text)] });
      expect(await store.flush([twice])).toEqual([{ kind: 'applied' }]);
      expect(await store.flush([twice])).toEqual([{ kind: 'conflict', revision: 1 }]);
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
      const holder = await open.client();
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
