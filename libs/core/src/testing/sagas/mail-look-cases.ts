import assert from 'node:assert/strict';
import { FORMAT, type MailFound, type MailMark } from '../../ports/index.js';
import { freshName, type ContractCase } from '../contract-case.js';
import {
  engine,
  letter,
  newSaga,
  openTransaction,
  ownedSaga,
  transition,
  type SagaStoreFixture,
} from './saga-material.js';

const PARK = { kind: 'give_back', wakeInMs: null } as const;
const LATE = { kind: 'late', data: '{"step":"charge","attempt":1}' } as const;

/** Looks as an engine that runs version 1 of this saga, and returns what it is told of. */
function looks(fixture: SagaStoreFixture, incarnation: string, name: string) {
  let mark: MailMark | null = null;
  return async (bounds: { limit?: number; bytes?: number } = {}): Promise<MailFound> => {
    const definitions = [{ name, versions: [1] }];
    const found = await fixture.sagas.lookForMail({
      incarnation,
      definitions,
      format: FORMAT,
      from: mark,
      ...bounds,
    });
    ({ mark } = found);
    return found;
  };
}

const keys = ({ mail }: MailFound): string[] => mail.map(({ dedupeKey }) => dedupeKey).sort();

export const mailLookCases: readonly ContractCase<SagaStoreFixture>[] = [
  {
    name: 'finds by a look what came since the look before, and nothing that lies there longer',
    guards: 'Mail that nobody reads for an hour would be read at every look of every engine.',
    async run(fixture) {
      const me = await engine(fixture);
      const saga = await ownedSaga(fixture, me);
      const look = looks(fixture, me, saga.name);
      await fixture.other.putMail([letter(saga.id, { dedupeKey: 'a' })]);
      assert.deepEqual(keys(await look()), ['a']);
      // Other transactions of this server may hold the mark back for a moment.
      while ((await look()).mail.length > 0) await fixture.pass(1);
      await fixture.other.putMail([letter(saga.id, { dedupeKey: 'b' })]);
      assert.deepEqual(keys(await look()), ['b']);
      assert.deepEqual(keys(await looks(fixture, me, saga.name)()), ['a', 'b']);
    },
  },
  {
    name: 'finds mail of a transaction that began before a look and commits after it, whatever came meanwhile',
    guards:
      'Whoever goes on behind the last letter that it saw passes the ones that commit late, for ever.',
    async run(fixture) {
      const me = await engine(fixture);
      const saga = await ownedSaga(fixture, me);
      const look = looks(fixture, me, saga.name);
      const long = await openTransaction(fixture, (transaction) =>
        fixture.other.putMail([letter(saga.id, { dedupeKey: 'long' })], transaction),
      );
      for (const dedupeKey of ['x', 'y', 'z']) {
        await fixture.other.putMail([letter(saga.id, { dedupeKey })]);
        assert.ok(keys(await look()).includes(dedupeKey));
      }
      await long.commit();
      assert.ok(keys(await look()).includes('long'));
    },
  },
  {
    name: 'reads many letters of one transaction page by page, in their order, and misses none',
    guards:
      'A page that ends within a transaction would be read again and again, or the rest never.',
    async run(fixture) {
      const me = await engine(fixture);
      const saga = await ownedSaga(fixture, me);
      const look = looks(fixture, me, saga.name);
      const letters = Array.from({ length: 7 }, (_, at) => letter(saga.id, { dedupeKey: `${at}` }));
      await fixture.other.putMail(letters);
      const pages: string[][] = [];
      for (;;) {
        const found = await look({ limit: 3 });
        pages.push(
          found.mail.filter(({ sagaId }) => sagaId === saga.id).map((one) => one.dedupeKey),
        );
        if (!found.more) break;
      }
      assert.deepEqual(pages.flat(), ['0', '1', '2', '3', '4', '5', '6']);
      assert.ok(pages.every((page) => page.length <= 3));
    },
  },
  {
    name: 'brings no more mail than fits into the bytes, and at least one letter',
    guards: 'A thousand replies of a megabyte each would end the process that reads them.',
    async run(fixture) {
      const me = await engine(fixture);
      const saga = await ownedSaga(fixture, me);
      const look = looks(fixture, me, saga.name);
      const data = JSON.stringify('x'.repeat(10_000));
      const letters = [0, 1, 2, 3, 4].map((at) => letter(saga.id, { dedupeKey: `${at}`, data }));
      await fixture.other.putMail(letters);
      const sizes: number[] = [];
      for (;;) {
        const found = await look({ bytes: 15_000 });
        if (found.mail.length > 0) sizes.push(found.mail.length);
        if (!found.more) break;
      }
      assert.deepEqual(sizes, [2, 2, 1]);
    },
  },
  {
    name: 'names the sagas without an owner that can go on because of their mail, and no others',
    guards:
      'An engine that is told of too little sleeps over a reply; told of too much, it claims in vain.',
    async run(fixture) {
      const me = await engine(fixture);
      const other = await engine(fixture);
      const name = freshName('saga');
      const owned = await ownedSaga(fixture, me, { name });
      const theirs = await ownedSaga(fixture, other, { name });
      const parked = await ownedSaga(fixture, me, { name });
      const ended = await ownedSaga(fixture, me, { name });
      const late = await ownedSaga(fixture, me, { name });
      await fixture.sagas.flush([
        transition(parked, me, { status: 'waiting', ownership: PARK }),
        transition(ended, me, { status: 'completed', ownership: PARK }),
        transition(late, me, { status: 'completed', ownership: PARK }),
      ]);
      const elsewhere = newSaga({ name, version: 2, wakeInMs: null });
      await fixture.sagas.start([elsewhere]);
      const version = (saga: { name: string; version: number }) => ({
        definition: { name: saga.name, version: saga.version },
      });
      await fixture.other.putMail([
        ...[owned, theirs, parked, ended, elsewhere].map((saga) => letter(saga.id)),
        ...[parked, elsewhere].map((saga) => letter(saga.id, version(saga))),
        letter(late.id, { ...LATE, ...version(late) }),
        letter(newSaga().id),
      ]);
      const found = await looks(fixture, me, name)();
      assert.deepEqual([...found.wakes].sort(), [parked.id, late.id].sort());
      assert.deepEqual(
        found.mail.map(({ sagaId }) => sagaId),
        [owned.id],
      );
      // A saga with an owner, without mail or of another version is not taken, also if the request names it.
      const definitions = [{ name, versions: [1] }];
      const request = { incarnation: me, definitions, format: FORMAT, limit: 10 };
      const silent = newSaga({ name, wakeInMs: null });
      await fixture.sagas.start([silent]);
      const mailed = [owned, theirs, parked, ended, late, elsewhere, silent].map(({ id }) => id);
      assert.deepEqual(await fixture.sagas.claim(request), []);
      const claimed = await fixture.sagas.claim({ ...request, mailed });
      assert.deepEqual(claimed.map(({ id }) => id).sort(), [parked.id, late.id].sort());
    },
  },
];
