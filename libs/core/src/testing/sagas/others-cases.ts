import assert from 'node:assert/strict';
import { newId, newNonce } from '../../ids.js';
import { FORMAT, type BegunSaga, type SagaTransition } from '../../ports/index.js';
import { freshName, type ContractCase } from '../contract-case.js';
import {
  claim,
  engine,
  entry,
  letter,
  openTransaction,
  ownedSaga,
  transition,
  unreadMail,
  type SagaStoreFixture,
} from './saga-material.js';

const PARK = { kind: 'give_back', wakeInMs: null } as const;
const END = { status: 'completed', ownership: PARK } as const;
/** Long enough to lie apart from the journal. */
const LONG = JSON.stringify({ input: 'x'.repeat(5_000) });

type Write = (fixture: SagaStoreFixture, one: SagaTransition) => Promise<string>;

/** The three ways in which a transition is written; each answers its outcome. */
const WRITERS: Readonly<Record<string, Write>> = {
  alone: async ({ sagas }, one) => (await sagas.flush([one]))[0]?.kind ?? '',
  together: async (fixture, one) => {
    const other = await ownedSaga(fixture, one.owner);
    const outcomes = await fixture.sagas.flush([transition(other, one.owner), one]);
    return outcomes[1]?.kind ?? '';
  },
  'in a transaction': async (fixture, one) => {
    let outcome = '';
    const open = await openTransaction(fixture, async (own) => {
      outcome = (await fixture.sagas.apply(one, own)).kind;
    });
    await open.commit();
    return outcome;
  },
};

function child(change: Partial<BegunSaga> = {}): BegunSaga {
  return {
    id: newId(),
    tenant: 't',
    name: freshName('child'),
    version: 1,
    format: FORMAT,
    inputDigest: 'digest',
    status: 'pending',
    owner: null,
    wakeInMs: 0,
    deadlineInMs: null,
    transitionId: newNonce(),
    entries: [entry('saga_started', '{"input":1}'), entry('parked', LONG)],
    ...change,
  };
}

export const othersCases: readonly ContractCase<SagaStoreFixture>[] = [
  {
    name: 'puts mail and starts sagas with a transition',
    guards:
      'A parent whose transition is written while its child is not would wait for a saga that does not exist.',
    async run(fixture) {
      for (const [way, write] of Object.entries(WRITERS)) {
        for (const last of [{}, END]) {
          const me = await engine(fixture);
          const parent = await ownedSaga(fixture, me);
          const target = await ownedSaga(fixture, me);
          const definition = { name: target.name, version: 1 };
          const [first, second] = [
            child(),
            child({ owner: me, status: 'running', wakeInMs: null }),
          ];
          const mail = [letter(target.id, { definition }), letter(target.id)];
          const one = transition(parent, me, { ...last, mail, sagas: [first, second] });
          assert.equal(await write(fixture, one), 'applied', way);
          const unread = await unreadMail(fixture.sagas, me, [
            { name: target.name, versions: [1] },
          ]);
          assert.deepEqual(
            unread.map(({ dedupeKey }) => dedupeKey),
            mail.map(({ dedupeKey }) => dedupeKey),
            way,
          );
          const [claimed] = await claim(fixture, me, first.name);
          assert.equal(claimed?.id, first.id, way);
          assert.deepEqual(
            claimed.entries.map(({ kind, data, revision }) => [kind, data, revision]),
            [
              ['saga_started', '{"input":1}', 0],
              ['parked', LONG, 0],
            ],
            way,
          );
          const { owner, tenant, key } = (await fixture.sagas.get(second.id)) ?? {};
          assert.deepEqual([owner, tenant, key], [me, 't', null], way);
        }
      }
    },
  },
  {
    name: 'puts no mail and starts no saga with a transition that is refused',
    guards:
      'A repeat of a transition that was applied, or one of a stale owner, would tell things twice.',
    async run(fixture) {
      for (const [way, write] of Object.entries(WRITERS)) {
        const me = await engine(fixture);
        const parent = await ownedSaga(fixture, me);
        const target = await ownedSaga(fixture, me);
        const one = child();
        const mail = [letter(target.id)];
        const stale = transition(parent, me, { revision: 7, mail, sagas: [one] });
        assert.equal(await write(fixture, stale), 'conflict', way);
        assert.deepEqual(await unreadMail(fixture.sagas, me), [], way);
        assert.equal(await fixture.sagas.get(one.id), null, way);
        assert.deepEqual(await fixture.sagas.history(one.id), [], way);
      }
    },
  },
  {
    name: 'leaves out a saga whose id is taken, and writes the rest of the transition',
    guards:
      'The second of two transitions that start the same saga would change that saga, or fail for good.',
    async run(fixture) {
      for (const [way, write] of Object.entries(WRITERS)) {
        const me = await engine(fixture);
        const parent = await ownedSaga(fixture, me);
        const there = await ownedSaga(fixture, me);
        const again = child({ id: there.id });
        const other = child();
        const one = transition(parent, me, { sagas: [again, other] });
        assert.equal(await write(fixture, one), 'applied', way);
        assert.equal((await fixture.sagas.get(there.id))?.name, there.name, way);
        assert.equal((await fixture.sagas.history(there.id)).length, there.entries.length, way);
        assert.equal((await fixture.sagas.get(other.id))?.name, other.name, way);
      }
    },
  },
];
