import assert from 'node:assert/strict';
import { newId } from '../../ids.js';
import { FORMAT } from '../../ports/index.js';
import type { ContractCase } from '../contract-case.js';
import {
  claim,
  engine,
  letter,
  newSaga,
  openTransaction,
  ownedSaga,
  transition,
  unreadMail,
  type SagaStoreFixture,
} from './saga-material.js';

const PARK = { kind: 'give_back', wakeInMs: null } as const;

export const mailCases: readonly ContractCase<SagaStoreFixture>[] = [
  {
    name: 'makes a parked saga due by mail',
    guards: "A reply wakes the saga that waits for it, without anybody's clock.",
    async run(fixture) {
      const me = await engine(fixture);
      const saga = await ownedSaga(fixture, me);
      await fixture.sagas.flush([transition(saga, me, { status: 'waiting', ownership: PARK })]);
      assert.deepEqual(await claim(fixture, me, saga.name), []);
      await fixture.other.putMail([letter(saga.id)]);
      const [claimed] = await claim(fixture, me, saga.name);
      assert.equal(claimed?.mail.length, 1);
    },
  },
  {
    name: 'loses no mail that is committed while its saga is being parked',
    guards:
      'Parking "if there is no reply" looks at an old snapshot: the reply lies there unseen, for ever.',
    async run(fixture) {
      const me = await engine(fixture);
      const saga = await ownedSaga(fixture, me);
      const open = await openTransaction(fixture, (transaction) =>
        fixture.other.putMail([letter(saga.id)], transaction),
      );
      const parked = await fixture.sagas.flush([
        transition(saga, me, { status: 'waiting', ownership: PARK }),
      ]);
      assert.deepEqual(parked, [{ kind: 'applied' }]);
      await open.commit();
      const [claimed] = await claim(fixture, me, saga.name);
      assert.equal(claimed?.mail.length, 1);
    },
  },
  {
    name: 'parks a saga although mail lies there that it has not read, which then is due at once',
    guards: 'Mail that arrives between the last look and the parking is not slept over.',
    async run(fixture) {
      const me = await engine(fixture);
      const saga = await ownedSaga(fixture, me);
      await fixture.sagas.putMail([letter(saga.id)]);
      await fixture.sagas.flush([
        transition(saga, me, {
          status: 'waiting',
          ownership: { kind: 'give_back', wakeInMs: 3_600_000 },
        }),
      ]);
      const [claimed] = await claim(fixture, me, saga.name);
      assert.equal(claimed?.mail.length, 1);
    },
  },
  {
    name: 'keeps the first of several letters with one dedupe key',
    guards: 'The first answer of a step wins; a redelivered reply is no second one.',
    async run(fixture) {
      const me = await engine(fixture);
      const saga = await ownedSaga(fixture, me);
      const of = (n: number) => letter(saga.id, { dedupeKey: 'reply:1', data: `{"n":${n}}` });
      await fixture.sagas.putMail([of(1), of(2)]);
      await Promise.all([fixture.sagas.putMail([of(3)]), fixture.other.putMail([of(4)])]);
      const mail = await unreadMail(fixture.sagas, me);
      assert.deepEqual(
        mail.map(({ data }) => data),
        ['{"n":1}'],
      );
    },
  },
  {
    name: 'takes mail out with the transition that consumes it, and leaves it when that is refused',
    guards: 'A letter is never lost, and never read twice.',
    async run(fixture) {
      const me = await engine(fixture);
      const saga = await ownedSaga(fixture, me);
      await fixture.sagas.putMail([letter(saga.id), letter(saga.id)]);
      const mail = await unreadMail(fixture.sagas, me);
      assert.equal(mail.length, 2);
      const ids = mail.map(({ id }) => id);
      await fixture.sagas.flush([transition(saga, me, { revision: 9, consumedMail: ids })]);
      assert.equal((await unreadMail(fixture.sagas, me)).length, 2);
      await fixture.sagas.flush([transition(saga, me, { consumedMail: ids.slice(0, 1) })]);
      const left = await unreadMail(fixture.sagas, me);
      assert.deepEqual(
        left.map(({ id }) => id),
        ids.slice(1),
      );
    },
  },
  {
    name: 'accepts a letter again once the first with its key was consumed',
    guards: 'The second run of a compensation waits for an answer under the same key.',
    async run(fixture) {
      const me = await engine(fixture);
      const saga = await ownedSaga(fixture, me);
      await fixture.sagas.putMail([letter(saga.id, { dedupeKey: 'k', data: '1' })]);
      const [first] = await unreadMail(fixture.sagas, me);
      await fixture.sagas.flush([transition(saga, me, { consumedMail: [first?.id ?? ''] })]);
      await fixture.sagas.putMail([letter(saga.id, { dedupeKey: 'k', data: '2' })]);
      const mail = await unreadMail(fixture.sagas, me);
      assert.deepEqual(
        mail.map(({ data }) => data),
        ['2'],
      );
    },
  },
  {
    name: 'leaves no letter of a transaction that was rolled back',
    guards: 'A cancel or a signal is part of the transaction it was sent in.',
    async run(fixture) {
      const me = await engine(fixture);
      const saga = await ownedSaga(fixture, me);
      const open = await openTransaction(fixture, (transaction) =>
        fixture.sagas.putMail([letter(saga.id)], transaction),
      );
      assert.deepEqual(await unreadMail(fixture.other, me), []);
      await open.rollback();
      assert.deepEqual(await unreadMail(fixture.sagas, me), []);
    },
  },
  {
    name: 'lets a saga move on while a transaction that writes to it is open',
    guards: "Mail locks no saga row: a caller's long transaction stalls nobody.",
    async run(fixture) {
      const me = await engine(fixture);
      const saga = await ownedSaga(fixture, me);
      const open = await openTransaction(fixture, (transaction) =>
        fixture.other.putMail([letter(saga.id)], transaction),
      );
      assert.deepEqual(await fixture.sagas.flush([transition(saga, me)]), [{ kind: 'applied' }]);
      await open.commit();
    },
  },
  {
    name: 'tells an engine of the mail of its own sagas only',
    guards: 'Mail is read by the owner of the saga it is for.',
    async run(fixture) {
      const me = await engine(fixture);
      const other = await engine(fixture);
      const mine = await ownedSaga(fixture, me);
      const theirs = await ownedSaga(fixture, other);
      await fixture.sagas.putMail([letter(mine.id), letter(theirs.id)]);
      const mail = await unreadMail(fixture.sagas, me);
      assert.deepEqual(
        mail.map(({ sagaId }) => sagaId),
        [mine.id],
      );
    },
  },
  {
    name: 'keeps mail for a saga that is not there yet',
    guards: 'A reply may be faster than the commit of the transaction that started its saga.',
    async run(fixture) {
      const me = await engine(fixture);
      const saga = newSaga();
      await fixture.sagas.putMail([letter(saga.id)]);
      await fixture.sagas.dropDeadMail(600_000, FORMAT);
      await fixture.sagas.start([saga]);
      const [claimed] = await claim(fixture, me, saga.name);
      assert.equal(claimed?.mail.length, 1);
    },
  },
  {
    name: 'drops mail of sagas that have ended, and old mail of sagas that never were',
    guards: 'Late replies do not pile up, and nothing else is dropped.',
    async run(fixture) {
      const me = await engine(fixture);
      const running = await ownedSaga(fixture, me);
      const ended = await ownedSaga(fixture, me);
      await fixture.sagas.flush([transition(ended, me, { status: 'completed', ownership: PARK })]);
      await fixture.sagas.putMail([letter(running.id), letter(ended.id), letter(newId())]);
      await fixture.pass(60);
      assert.ok((await fixture.sagas.dropDeadMail(20, FORMAT)).dropped >= 2);
      const mine = [{ name: running.name, versions: [1] }];
      assert.equal((await unreadMail(fixture.sagas, me, mine)).length, 1);
    },
  },
  {
    name: 'wakes a saga that has ended by an effect that came late, also where a person ended it',
    guards:
      'A charge that lands after another process has undone its saga stands for ever, if its news are dropped with the mail of what has ended.',
    async run(fixture) {
      const me = await engine(fixture);
      const ended = await ownedSaga(fixture, me);
      const stopped = await ownedSaga(fixture, me);
      await fixture.sagas.flush([
        transition(ended, me, { status: 'compensated', ownership: PARK }),
        transition(stopped, me, { status: 'terminated', ownership: PARK }),
      ]);
      const late = { kind: 'late', data: '{"step":"charge","attempt":1}' };
      await fixture.sagas.putMail([letter(ended.id, late), letter(stopped.id, late)]);
      await fixture.sagas.dropDeadMail(0, FORMAT);
      const [noted] = await claim(fixture, me, stopped.name);
      assert.deepEqual([noted?.id, noted?.mail.length], [stopped.id, 1]);
      const [claimed] = await claim(fixture, me, ended.name);
      assert.deepEqual([claimed?.id, claimed?.mail.length], [ended.id, 1]);
      assert.ok(claimed !== undefined);
      assert.deepEqual([...(await fixture.sagas.owned(me))].sort(), [ended.id, stopped.id].sort());
      assert.equal((await fixture.sagas.load([ended.id], me)).length, 1);
      const consumed = transition(claimed, me, {
        status: 'compensated',
        ownership: PARK,
        consumedMail: claimed.mail.map(({ id }) => id),
      });
      assert.deepEqual(await fixture.sagas.flush([consumed]), [{ kind: 'applied' }]);
      assert.deepEqual(await claim(fixture, me, ended.name), []);
    },
  },
];
