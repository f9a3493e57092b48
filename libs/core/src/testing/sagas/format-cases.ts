import assert from 'node:assert/strict';
import { newId } from '../../ids.js';
import { FORMAT, type SagaTransition } from '../../ports/index.js';
import { freshName, type ContractCase } from '../contract-case.js';
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

const NEWER = FORMAT + 1;
const PARK = { kind: 'give_back', wakeInMs: null } as const;
const DUE = { kind: 'give_back', wakeInMs: 0 } as const;
const END = { status: 'completed', ownership: PARK } as const;
const LATE = { kind: 'late', data: '{"step":"charge","attempt":1}' } as const;

/** The three ways in which a transition is written. */
const WRITERS: Readonly<
  Record<string, (fixture: SagaStoreFixture, transition: SagaTransition) => Promise<void>>
> = {
  alone: async ({ sagas }, one) => {
    assert.deepEqual(await sagas.flush([one]), [{ kind: 'applied' }]);
  },
  together: async (fixture, one) => {
    const other = await ownedSaga(fixture, one.owner);
    const outcomes = await fixture.sagas.flush([transition(other, one.owner), one]);
    assert.deepEqual(outcomes, [{ kind: 'applied' }, { kind: 'applied' }]);
  },
  'in a transaction': async (fixture, one) => {
    const open = await openTransaction(fixture, async (own) => {
      assert.deepEqual(await fixture.sagas.apply(one, own), { kind: 'applied' });
    });
    await open.commit();
  },
};

export const formatCases: readonly ContractCase<SagaStoreFixture>[] = [
  {
    name: 'leaves sagas of a newer format to the engines that can read them',
    guards: 'An old version beside a new one would stop at a journal that it cannot read.',
    async run(fixture) {
      const me = await engine(fixture);
      const name = freshName('saga');
      const due = newSaga({ name, format: NEWER });
      const orphan = newSaga({ name, format: NEWER, status: 'running', owner: deadEngine() });
      const mailed = newSaga({ name, format: NEWER, wakeInMs: null });
      await fixture.sagas.start([due, orphan, mailed]);
      const ended = await ownedSaga(fixture, me, { name, format: NEWER });
      await fixture.sagas.flush([transition(ended, me, END)]);
      await fixture.sagas.putMail([
        letter(mailed.id, { definition: { name, version: 1 } }),
        letter(ended.id, { definition: { name, version: 1 }, ...LATE }),
      ]);
      const definitions = [{ name, versions: [1] }];
      assert.deepEqual(await claim(fixture, me, name), []);
      assert.equal(await fixture.sagas.nextDueInMs(definitions, FORMAT), null);
      assert.notEqual(await fixture.sagas.nextDueInMs(definitions, NEWER), null);
      const claimed = await claim(fixture, me, name, { format: NEWER });
      assert.deepEqual(
        claimed.map(({ id }) => id).sort(),
        [due, orphan, mailed, ended].map(({ id }) => id).sort(),
      );
      assert.ok(claimed.every(({ format }) => format === NEWER));
    },
  },
  {
    name: 'changes the format and the version of a saga with a transition',
    guards: 'What a newer engine wrote would be read by an older one as soon as that takes it.',
    async run(fixture) {
      for (const [way, write] of Object.entries(WRITERS)) {
        const me = await engine(fixture);
        const saga = await ownedSaga(fixture, me);
        const { name } = saga;
        const becomes = { name, version: 2, format: NEWER };
        await write(fixture, transition(saga, me, { ownership: DUE, becomes }));
        assert.deepEqual(await claim(fixture, me, name, { format: NEWER }), [], way);
        assert.deepEqual(await claim(fixture, me, name, { versions: [2] }), [], way);
        const [claimed] = await claim(fixture, me, name, { versions: [2], format: NEWER });
        assert.deepEqual([claimed?.version, claimed?.format], [2, NEWER], way);
        assert.ok(claimed !== undefined);
        // The next transition says nothing of them, and they stay; so they do when the saga ends.
        await write(fixture, transition(claimed, me, { status: 'waiting' }));
        const ends = { ...END, revision: claimed.revision + 1 };
        await write(fixture, transition(claimed, me, ends));
        const kept = await fixture.sagas.get(saga.id);
        assert.deepEqual([kept?.status, kept?.version, kept?.format], ['completed', 2, NEWER], way);
      }
    },
  },
  {
    name: 'changes the format of a saga with the transition that ends it',
    guards: 'A late effect would bring it back to an engine that cannot read how it ended.',
    async run(fixture) {
      for (const [way, write] of Object.entries(WRITERS)) {
        const me = await engine(fixture);
        const saga = await ownedSaga(fixture, me);
        const becomes = { name: saga.name, version: 1, format: NEWER };
        await write(fixture, transition(saga, me, { ...END, becomes }));
        await fixture.sagas.putMail([letter(saga.id, LATE)]);
        assert.deepEqual(await claim(fixture, me, saga.name), [], way);
        assert.equal((await claim(fixture, me, saga.name, { format: NEWER })).length, 1, way);
      }
    },
  },
  {
    name: 'wakes no engine by mail of a newer format, and tells the owner of its saga',
    guards:
      'An old version beside a new one would claim the saga again and again for mail that it must not take out; and if it owns the saga and is not told, a newer one never gets it.',
    async run(fixture) {
      const me = await engine(fixture);
      const saga = await ownedSaga(fixture, me);
      await fixture.sagas.flush([transition(saga, me, { status: 'waiting', ownership: PARK })]);
      await fixture.sagas.putMail([letter(saga.id, { kind: 'signal', format: NEWER })]);
      const definitions = [{ name: saga.name, versions: [1] }];
      const look = { incarnation: me, definitions, format: FORMAT, from: null };
      assert.deepEqual((await fixture.sagas.lookForMail(look)).wakes, []);
      assert.deepEqual(await claim(fixture, me, saga.name), []);
      await fixture.sagas.putMail([letter(saga.id)]);
      const [claimed] = await claim(fixture, me, saga.name);
      const formats = claimed?.mail.map(({ kind, format }) => `${kind} ${String(format)}`);
      assert.deepEqual(formats?.sort(), [`reply ${String(FORMAT)}`, `signal ${String(NEWER)}`]);
      const { mail, wakes } = await fixture.sagas.lookForMail(look);
      assert.deepEqual(mail.map(({ format }) => format).sort(), [FORMAT, NEWER]);
      assert.deepEqual(wakes, []);
    },
  },
  {
    name: 'wakes an engine that can read it by mail of a newer format',
    guards: 'Such mail would wait until another reason wakes the saga.',
    async run(fixture) {
      const me = await engine(fixture);
      const saga = newSaga({ wakeInMs: null });
      await fixture.sagas.start([saga]);
      await fixture.sagas.putMail([letter(saga.id, { kind: 'signal', format: NEWER })]);
      const claimed = await claim(fixture, me, saga.name, { format: NEWER });
      assert.deepEqual(
        claimed.map(({ id }) => id),
        [saga.id],
      );
    },
  },
  {
    name: 'keeps mail of a newer format when mail that nobody reads is deleted',
    guards:
      'Only a newer engine knows whether such mail concerns a saga that has ended, as a late effect does.',
    async run(fixture) {
      const me = await engine(fixture);
      const saga = await ownedSaga(fixture, me);
      await fixture.sagas.flush([transition(saga, me, END)]);
      await fixture.sagas.putMail([
        letter(saga.id, { kind: 'signal', format: NEWER }),
        letter(newId(), { kind: 'signal', format: NEWER }),
      ]);
      await fixture.pass(60);
      await fixture.sagas.dropDeadMail(20, FORMAT);
      assert.equal((await fixture.sagas.dropDeadMail(20, NEWER)).dropped, 2);
    },
  },
  {
    name: 'finds sagas unserved whose format no living engine can read',
    guards: 'After a return to an older version they would wait, and nobody would be told.',
    async run(fixture) {
      const name = freshName('saga');
      const runs = [{ name, versions: [1] }];
      await engine(fixture, 600_000, runs);
      await fixture.sagas.start([newSaga({ name }), newSaga({ name, format: NEWER })]);
      await fixture.pass(5);
      const unserved = async () => {
        const found = await fixture.sagas.unserved({ olderThanMs: 1, limit: 1_000 });
        return found.flatMap((one) => (one.name === name ? [[one.format, one.count]] : []));
      };
      assert.deepEqual(await unserved(), [[NEWER, 1]]);
      await engine(fixture, 600_000, runs, NEWER);
      assert.deepEqual(await unserved(), []);
    },
  },
];
