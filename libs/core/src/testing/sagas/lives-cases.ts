import assert from 'node:assert/strict';
import { FINAL_STATUSES, type SagaTransition } from '../../ports/index.js';
import { freshName, type ContractCase } from '../contract-case.js';
import {
  claim,
  engine,
  letter,
  newSaga,
  openTransaction,
  ownedSaga,
  transition,
  type SagaStoreFixture,
} from './saga-material.js';

const LATE = { kind: 'late', data: '{"step":"charge","attempt":1}' } as const;
/** The change of a transition that ends its saga. */
const END: Partial<SagaTransition> = {
  status: 'compensated',
  ownership: { kind: 'give_back', wakeInMs: null },
};

export const livesCases: readonly ContractCase<SagaStoreFixture>[] = [
  {
    name: 'shows a saga that has ended with all that it had, without an owner',
    guards: 'Where a store keeps ended sagas elsewhere, people and callers find them as before.',
    async run(fixture) {
      const me = await engine(fixture);
      const name = freshName('saga');
      for (const status of FINAL_STATUSES) {
        const change = { name, tenant: 't', key: `key of ${status}`, deadlineInMs: 60_000 };
        const saga = await ownedSaga(fixture, me, { ...change, version: 3 });
        const before = await fixture.sagas.get(saga.id);
        // An engine that wants to keep what has ended does not keep it.
        const end = transition(saga, me, { status, ownership: { kind: 'keep' } });
        assert.deepEqual(await fixture.sagas.flush([end]), [{ kind: 'applied' }]);
        const after = await fixture.other.get(saga.id);
        assert.ok(
          after !== null && after.deadlineInMs !== null && after.updatedAt >= after.createdAt,
        );
        const { deadlineInMs: _, updatedAt, ...rest } = after;
        const { deadlineInMs: __, updatedAt: ___, ...was } = before ?? after;
        assert.deepEqual(rest, { ...was, status, revision: 1, owner: null });
        assert.ok(updatedAt instanceof Date);
        assert.deepEqual(await fixture.other.statusesOf([saga.id]), new Map([[saga.id, status]]));
        const listed = await fixture.other.find({ name, key: saga.key ?? '' });
        assert.deepEqual(
          listed.map((one) => [one.id, one.status]),
          [[saga.id, status]],
        );
      }
      assert.equal((await fixture.sagas.find({ name, statuses: FINAL_STATUSES })).length, 4);
      assert.equal((await fixture.sagas.find({ name, statuses: ['running'] })).length, 0);
      assert.deepEqual(await fixture.sagas.owned(me), []);
    },
  },
  {
    name: 'lists sagas that have ended and sagas that have not as one list, page by page',
    guards: 'Two lists put one after the other would repeat or leave out sagas at the seam.',
    async run(fixture) {
      const me = await engine(fixture);
      const name = freshName('saga');
      const sagas = Array.from({ length: 8 }, (_, at) =>
        newSaga({ name, version: 1 + (at % 2), owner: me, status: 'running' }),
      );
      await fixture.sagas.start(sagas);
      const ended = sagas.filter((_, at) => at % 3 === 0);
      await fixture.sagas.flush(ended.map((saga) => transition(saga, me, END)));
      const newest = sagas.map(({ id }) => id).toReversed();
      const pages: string[] = [];
      for (let before: string | undefined; ; before = pages.at(-1)) {
        const page = await fixture.sagas.find({
          name,
          limit: 3,
          ...(before === undefined ? {} : { before }),
        });
        pages.push(...page.map(({ id }) => id));
        if (page.length < 3) break;
      }
      assert.deepEqual(pages, newest);
    },
  },
  {
    name: 'says of a saga that has ended that nobody owns it, and finds the transition that ended it',
    guards: 'Taken for missing, an end whose answer was lost would be told to nobody.',
    async run(fixture) {
      const me = await engine(fixture);
      const saga = await ownedSaga(fixture, me);
      const end = transition(saga, me, END);
      await fixture.sagas.flush([end]);
      assert.deepEqual(await fixture.other.settle(end), { kind: 'applied' });
      const gone = { kind: 'not_owner', owner: null, epoch: 1 };
      assert.deepEqual(await fixture.sagas.flush([end]), [gone]);
      const further = transition(saga, me, { revision: 1 });
      assert.deepEqual(await fixture.sagas.flush([further]), [gone]);
      assert.deepEqual(await fixture.sagas.settle(further), gone);
      await fixture.transactions.run(async (transaction) => {
        assert.deepEqual(await fixture.sagas.apply(further, transaction), gone);
      });
    },
  },
  {
    name: 'waits for an end that is under way when it settles, and finds it applied or not',
    guards: 'An end that is taken for lost would be repeated, and its messages sent twice.',
    async run(fixture) {
      const me = await engine(fixture);
      const saga = await ownedSaga(fixture, me);
      const end = transition(saga, me, END);
      const lost = await openTransaction(fixture, (open) => fixture.sagas.apply(end, open));
      const notYet = fixture.other.settle(end);
      await lost.rollback();
      assert.deepEqual(await notYet, { kind: 'not_applied' });
      const open = await openTransaction(fixture, (within) => fixture.sagas.apply(end, within));
      const answer = fixture.other.settle(end);
      await open.commit();
      assert.deepEqual(await answer, { kind: 'applied' });
    },
  },
  {
    name: 'takes a start that is repeated after its saga has ended as the one it was',
    guards: 'A start without an answer is repeated: a second saga would run all its steps again.',
    async run(fixture) {
      const me = await engine(fixture);
      for (const key of [null, 'k']) {
        const saga = await ownedSaga(fixture, me, { key });
        await fixture.sagas.flush([transition(saga, me, END)]);
        const { id, inputDigest } = saga;
        assert.deepEqual(await fixture.other.start([saga]), [
          { kind: 'exists', id, inputDigest, sameStart: true },
        ]);
        const another = newSaga({ id, name: saga.name, key: 'another' });
        assert.deepEqual(await fixture.other.start([another]), [
          { kind: 'exists', id, inputDigest, sameStart: false },
        ]);
        assert.equal((await fixture.sagas.get(id))?.status, 'compensated');
        // The key of the refused start is free.
        const free = newSaga({ name: saga.name, key: 'another' });
        assert.deepEqual(await fixture.other.start([free]), [{ kind: 'started' }]);
      }
    },
  },
  {
    name: 'lets one engine have a saga that a late effect brings back, in a new epoch, and ends it again',
    guards: 'Two engines that both note one late effect would ask two persons to undo it.',
    async run(fixture) {
      const me = await engine(fixture);
      const saga = await ownedSaga(fixture, me, { key: 'k', tenant: 't' });
      await fixture.sagas.flush([transition(saga, me, END)]);
      await fixture.sagas.putMail([letter(saga.id, LATE)]);
      const engines = [await engine(fixture), await engine(fixture)];
      const claims = await Promise.all(
        engines.map((one, at) =>
          claim(fixture, one, saga.name, { store: at === 0 ? fixture.sagas : fixture.other }),
        ),
      );
      const [claimed, ...others] = claims.flat();
      assert.ok(claimed !== undefined && others.length === 0);
      const { id, status, revision, epoch, adoptedFrom, key, tenant, entries, mail } = claimed;
      assert.deepEqual(
        [id, status, revision, epoch, adoptedFrom, key, tenant, entries.length, mail.length],
        [saga.id, 'compensated', 1, 2, null, 'k', 't', 2, 1],
      );
      // Until its next transition it is a saga of that engine, which may die.
      assert.equal((await fixture.sagas.get(saga.id))?.owner, claimed.owner);
      await fixture.engines.retire(claimed.owner ?? '');
      const [adopted] = await claim(fixture, me, saga.name);
      assert.deepEqual([adopted?.adoptedFrom, adopted?.epoch], [claimed.owner, 3]);
      assert.ok(adopted !== undefined);
      const noted = transition(adopted, me, {
        ...END,
        status: 'needs_attention',
        consumedMail: mail.map((one) => one.id),
      });
      assert.deepEqual(await fixture.sagas.flush([noted]), [{ kind: 'applied' }]);
      assert.deepEqual(await claim(fixture, me, saga.name), []);
      assert.equal((await fixture.sagas.get(saga.id))?.status, 'needs_attention');
      assert.equal((await fixture.sagas.find({ name: saga.name })).length, 1);
    },
  },
  {
    name: 'finds a late effect whose mail was written while its saga was ending, whoever commits first',
    guards:
      'The saga is in neither life for whoever looks at one after the other: the news would lie there for ever.',
    async run(fixture) {
      const me = await engine(fixture);
      for (const first of ['end', 'mail'] as const) {
        const saga = await ownedSaga(fixture, me);
        const ending = await openTransaction(fixture, (open) =>
          fixture.sagas.apply(transition(saga, me, END), open),
        );
        const mailing = await openTransaction(fixture, (open) =>
          fixture.other.putMail([letter(saga.id, LATE)], open),
        );
        assert.deepEqual(await claim(fixture, me, saga.name), []);
        await (first === 'end' ? ending : mailing).commit();
        assert.deepEqual(await claim(fixture, me, saga.name), []);
        await (first === 'end' ? mailing : ending).commit();
        const [claimed] = await claim(fixture, me, saga.name);
        assert.deepEqual([claimed?.id, claimed?.mail.length], [saga.id, 1]);
      }
    },
  },
  {
    name: 'leaves a saga that has ended and has late mail to an engine that can run it',
    guards: 'An old version beside a new one would bring back what it cannot read.',
    async run(fixture) {
      const me = await engine(fixture);
      const saga = await ownedSaga(fixture, me, { version: 2 });
      await fixture.sagas.flush([transition(saga, me, END)]);
      await fixture.sagas.putMail([letter(saga.id, LATE)]);
      assert.deepEqual(await claim(fixture, me, saga.name), []);
      const claimed = await claim(fixture, me, saga.name, { versions: [2] });
      assert.equal(claimed.length, 1);
    },
  },
];
