import assert from 'node:assert/strict';
import { newId } from '../../ids.js';
import { FORMAT } from '../../ports/index.js';
import type { ContractCase } from '../contract-case.js';
import { freshName } from '../contract-case.js';
import {
  claim,
  deadEngine,
  engine,
  letter,
  newSaga,
  openTransaction,
  ownedSaga,
  transition,
  type SagaStoreFixture,
} from './saga-material.js';

const HOUR_MS = 3_600_000;

export const claimCases: readonly ContractCase<SagaStoreFixture>[] = [
  {
    name: "claims what is due, by the store's clock, and nothing before its time",
    guards: 'Delays are kept, whatever the clocks of the hosts say.',
    async run(fixture) {
      const me = await engine(fixture);
      const name = freshName('saga');
      const now = newSaga({ name });
      const muchLater = newSaga({ name, wakeInMs: HOUR_MS });
      const onMail = newSaga({ name, wakeInMs: null });
      await fixture.sagas.start([now, muchLater, onMail]);
      const first = await claim(fixture, me, name);
      assert.deepEqual(
        first.map(({ id }) => id),
        [now.id],
      );
      const dueInMs = async (versions: readonly number[]) =>
        fixture.sagas.nextDueInMs([{ name, versions }], FORMAT);
      const next = await dueInMs([1]);
      assert.ok(next !== null && next > 0 && next <= HOUR_MS);
      // A saga that no engine here can run is due for others, and sets no pace.
      assert.equal(await dueInMs([2]), null);
      const later = newSaga({ name, wakeInMs: 300 });
      await fixture.sagas.start([later]);
      await fixture.pass(350);
      const second = await claim(fixture, me, name);
      assert.deepEqual(
        second.map(({ id }) => id),
        [later.id],
      );
      assert.deepEqual(await claim(fixture, me, name), []);
    },
  },
  {
    name: 'hands over the journal, the mail and the header with the claim, in a new epoch',
    guards: 'Whoever takes a saga knows all that happened, and writes in an epoch of its own.',
    async run(fixture) {
      const me = await engine(fixture);
      const saga = newSaga({ deadlineInMs: 60_000 });
      await fixture.sagas.start([saga]);
      await fixture.sagas.putMail([letter(saga.id, { dedupeKey: 'a', data: '{"x":1}' })]);
      const [claimed] = await claim(fixture, me, saga.name);
      assert.ok(claimed !== undefined);
      assert.deepEqual(
        [claimed.owner, claimed.epoch, claimed.revision, claimed.adoptedFrom],
        [me, 1, 0, null],
      );
      assert.deepEqual(
        claimed.entries.map(({ kind, data }) => [kind, data]),
        [['saga_started', '{"input":1}']],
      );
      assert.deepEqual(
        claimed.mail.map(({ dedupeKey, data, kind }) => [dedupeKey, data, kind]),
        [['a', '{"x":1}', 'reply']],
      );
      assert.ok(claimed.deadlineInMs !== null && claimed.deadlineInMs > 0);
      assert.ok(claimed.deadlineInMs <= 60_000);
    },
  },
  {
    name: 'claims no saga of a name or version that the engine does not run',
    guards: 'During a deployment an old process leaves new sagas alone, and the other way round.',
    async run(fixture) {
      const me = await engine(fixture);
      const saga = newSaga({ version: 2 });
      await fixture.sagas.start([saga]);
      assert.deepEqual(await claim(fixture, me, saga.name, { versions: [1, 3] }), []);
      assert.deepEqual(await claim(fixture, me, freshName('other'), { versions: [2] }), []);
      assert.equal((await claim(fixture, me, saga.name, { versions: [1, 2] })).length, 1);
    },
  },
  {
    name: 'gives each saga to one of several claimers, and no claimer more than its limit',
    guards: 'Two engines never run the same saga.',
    async run(fixture) {
      const name = freshName('saga');
      await fixture.sagas.start(Array.from({ length: 30 }, () => newSaga({ name })));
      const engines = await Promise.all(Array.from({ length: 6 }, () => engine(fixture)));
      const claims = await Promise.all(
        engines.map((one, at) =>
          claim(fixture, one, name, {
            limit: 10,
            store: at % 2 === 0 ? fixture.sagas : fixture.other,
          }),
        ),
      );
      for (const one of claims) assert.ok(one.length <= 10);
      const ids = claims.flat().map(({ id }) => id);
      assert.equal(new Set(ids).size, ids.length);
      const rest = await claim(fixture, engines[0] ?? '', name);
      assert.equal(ids.length + rest.length, 30);
    },
  },
  {
    name: 'never claims a saga that has ended, mail or not',
    guards: 'A final status is left by nobody.',
    async run(fixture) {
      const me = await engine(fixture);
      for (const status of [
        'completed',
        'compensated',
        'partially_committed',
        'terminated',
      ] as const) {
        const saga = await ownedSaga(fixture, me);
        await fixture.sagas.flush([
          transition(saga, me, { status, ownership: { kind: 'give_back', wakeInMs: null } }),
        ]);
        await fixture.sagas.putMail([letter(saga.id)]);
        assert.deepEqual(await claim(fixture, me, saga.name), []);
      }
    },
  },
  {
    name: 'wakes a saga that needs attention by mail, and only by mail',
    guards: 'An operator can move it on; until then it rests.',
    async run(fixture) {
      const me = await engine(fixture);
      const saga = await ownedSaga(fixture, me);
      await fixture.sagas.flush([
        transition(saga, me, {
          status: 'needs_attention',
          ownership: { kind: 'give_back', wakeInMs: null },
        }),
      ]);
      assert.deepEqual(await claim(fixture, me, saga.name), []);
      await fixture.sagas.putMail([letter(saga.id, { kind: 'retry' })]);
      const [claimed] = await claim(fixture, me, saga.name);
      assert.equal(claimed?.status, 'needs_attention');
    },
  },
  {
    name: 'takes over sagas of an engine that does not live, and says from whom',
    guards: 'What a dead process owned goes on.',
    async run(fixture) {
      const gone = await engine(fixture);
      const saga = await ownedSaga(fixture, gone);
      const heir = await engine(fixture);
      assert.deepEqual(await claim(fixture, heir, saga.name), []);
      await fixture.engines.retire(gone);
      const [adopted] = await claim(fixture, heir, saga.name);
      assert.deepEqual([adopted?.adoptedFrom, adopted?.owner, adopted?.epoch], [gone, heir, 2]);
    },
  },
  {
    name: "takes over, for ever, what a dead engine's transaction commits after its death",
    guards:
      "A sweep at the moment of death is over when a caller's transaction that names the dead engine commits: the saga would belong to nobody.",
    async run(fixture) {
      const gone = await engine(fixture);
      const heir = await engine(fixture);
      const name = freshName('saga');
      const early = await ownedSaga(fixture, gone, { name });
      const late = newSaga({ name, owner: gone, status: 'running' });
      const open = await openTransaction(fixture, (transaction) =>
        fixture.sagas.start([late], transaction),
      );
      await fixture.engines.retire(gone);
      assert.deepEqual(
        (await claim(fixture, heir, name)).map(({ id }) => id),
        [early.id],
      );
      assert.deepEqual(await claim(fixture, heir, name), []);
      await open.commit();
      const [adopted] = await claim(fixture, heir, name);
      assert.deepEqual([adopted?.id, adopted?.adoptedFrom], [late.id, gone]);
    },
  },
  {
    name: 'takes over a saga whose owner was never registered',
    guards: 'An engine that died before it could say that it lives leaves nothing behind.',
    async run(fixture) {
      const saga = await ownedSaga(fixture, deadEngine());
      const heir = await engine(fixture);
      assert.equal((await claim(fixture, heir, saga.name)).length, 1);
    },
  },
  {
    name: 'does not take over from an engine that is late but not declared dead',
    guards:
      'Overdue is a suspicion. Adoption waits for the verdict on one row, or a heartbeat in between is overlooked.',
    async run(fixture) {
      const late = await engine(fixture, 20);
      const saga = await ownedSaga(fixture, late);
      await fixture.pass(60);
      const heir = await engine(fixture);
      assert.deepEqual(await claim(fixture, heir, saga.name), []);
      assert.ok(await fixture.engines.beat(late));
    },
  },
  {
    name: 'tells an engine what it owns, and loads what it asks for and owns',
    guards:
      'A claim whose answer was lost would leave the saga with an owner that does not know it.',
    async run(fixture) {
      const me = await engine(fixture);
      const mine = await ownedSaga(fixture, me);
      const other = await engine(fixture);
      const theirs = await ownedSaga(fixture, other);
      const ended = await ownedSaga(fixture, me);
      await fixture.sagas.flush([
        transition(ended, me, {
          status: 'completed',
          ownership: { kind: 'give_back', wakeInMs: null },
        }),
      ]);
      assert.deepEqual(await fixture.sagas.owned(me), [mine.id]);
      const loaded = await fixture.sagas.load([mine.id, theirs.id, ended.id, newId()], me);
      assert.deepEqual(
        loaded.map(({ id, adoptedFrom, epoch, entries }) => [
          id,
          adoptedFrom,
          epoch,
          entries.length,
        ]),
        [[mine.id, null, 1, 1]],
      );
    },
  },
  {
    name: 'gives a saga back with a time, and takes it again when the time has come',
    guards: 'A saga that waits holds no owner, and is found again.',
    async run(fixture) {
      const me = await engine(fixture);
      const givenBack = async (wakeInMs: number) => {
        const saga = await ownedSaga(fixture, me);
        const ownership = { kind: 'give_back', wakeInMs } as const;
        await fixture.sagas.flush([transition(saga, me, { status: 'waiting', ownership })]);
        return saga;
      };
      const later = await givenBack(HOUR_MS);
      assert.equal((await fixture.sagas.get(later.id))?.owner, null);
      assert.deepEqual(await claim(fixture, me, later.name), []);
      const soon = await givenBack(200);
      await fixture.pass(260);
      const [claimed] = await claim(fixture, me, soon.name);
      assert.deepEqual([claimed?.epoch, claimed?.revision, claimed?.adoptedFrom], [2, 1, null]);
    },
  },
];
