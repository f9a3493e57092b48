import assert from 'node:assert/strict';
import type { QueuedMessage, SlotChange } from '../../ports/index.js';
import type { ContractCase } from '../contract-case.js';
import { outboxMessage } from './outbox-message.js';
import {
  bodiesOf,
  LONG_MS,
  own,
  readAll,
  rowOf,
  whileLocked,
  type SlotQueueFixture,
} from './slot-queue-fixture.js';

function placeOf({ slot, seq }: QueuedMessage) {
  return { slot, seq };
}

function retry(row: QueuedMessage): SlotChange {
  return {
    kind: 'retry',
    place: placeOf(row),
    delayMs: LONG_MS,
    counts: true,
    error: 'refused',
  };
}

function hold(row: QueuedMessage): SlotChange {
  return { kind: 'hold', place: placeOf(row) };
}

function bury(row: QueuedMessage): SlotChange {
  return {
    kind: 'dead_letter',
    place: placeOf(row),
    counts: true,
    error: 'refused',
    reason: 'attempts_exhausted',
    block: false,
  };
}

function release({ slot, message: { tenant, topic, key } }: QueuedMessage): SlotChange {
  return { kind: 'release', key: { slot, tenant, topic, key } };
}

/** Writes a message of each key and returns their rows, in the order of the keys. */
async function rowsOf(
  { queue, add }: SlotQueueFixture,
  keys: readonly string[],
): Promise<readonly QueuedMessage[]> {
  await add(keys.map((key) => outboxMessage(key, 1)));
  const rows = await readAll(queue);
  return keys.map((key) => rowOf(rows, `${key}:1`));
}

/** A row that another transaction has locked is held up itself and holds up nothing else. */
export const lockedCases: readonly ContractCase<SlotQueueFixture>[] = [
  {
    name: 'removes what is done beside rows that another transaction has locked, and names these',
    guards:
      'A person who looks at one row in an open transaction stops the removal of all, and with it ' +
      'the relay. Hole: a row that is named as removed and is there is published again.',
    async run(fixture) {
      const { queue } = fixture;
      const rows = await rowsOf(fixture, ['a', 'b', 'c', 'd', 'e']);
      const places = rows.map(placeOf);
      const [, b, , d, e] = places;
      assert.ok(b && d && e);
      await queue.complete([e]);
      await whileLocked(fixture, { rows: [b, d] }, async () => {
        const left = await queue.complete(places);
        assert.deepEqual(new Set(left.map(({ seq }) => seq)), new Set([b.seq, d.seq]));
        assert.deepEqual(bodiesOf(await readAll(queue)).sort(), ['b:1', 'd:1']);
        assert.deepEqual(await queue.complete([b]), [b], 'asked again while it is locked');
      });
      assert.deepEqual(await queue.complete(places), []);
      assert.deepEqual(await readAll(queue), []);
    },
  },
  {
    name: 'changes rows beside locked ones, and answers for these that they are busy',
    guards: 'The retries and dead letters of a whole process wait for one row.',
    async run(fixture) {
      const { queue, add } = fixture;
      const { incarnation, leases } = await own(queue);
      const keys = ['a', 'b', 'c', 'd', 'e', 'f', 'gone'];
      const [a, b, c, d, e, f, gone] = await rowsOf(fixture, keys);
      assert.ok(a && b && c && d && e && f && gone);
      await queue.complete([placeOf(gone)]);
      const changes = [retry(a), retry(b), hold(c), hold(d), bury(e), bury(f), retry(gone)];
      await whileLocked(fixture, { rows: [b, d, f].map(placeOf) }, async () => {
        const outcomes = await queue.change(incarnation, leases, changes);
        const expected = ['changed', 'busy', 'changed', 'busy', 'changed', 'busy', 'gone'];
        assert.deepEqual(outcomes, expected);
        assert.deepEqual(bodiesOf(await readAll(queue)).sort(), ['b:1', 'd:1', 'f:1']);
      });
      const again = await queue.change(incarnation, leases, [retry(b), hold(d), bury(f)]);
      assert.deepEqual(again, ['changed', 'changed', 'changed']);
      await add([outboxMessage('last', 1)]);
      assert.deepEqual(bodiesOf(await readAll(queue)), ['last:1']);
    },
  },
  {
    name: 'releases all held rows of a key or none, and other keys beside a locked one',
    guards: 'Hole: a held row that stays behind because it is locked is overtaken by the next.',
    async run(fixture) {
      const { queue, add } = fixture;
      const { incarnation, leases } = await own(queue);
      await add(['a', 'b'].flatMap((key) => [1, 2, 3].map((n) => outboxMessage(key, n))));
      const rows = await readAll(queue);
      await queue.change(incarnation, leases, rows.map(hold));
      const [a, b] = [rowOf(rows, 'a:1'), rowOf(rows, 'b:1')];
      const keys = [release(a), release(b)];
      await whileLocked(fixture, { rows: [placeOf(rowOf(rows, 'a:2'))] }, async () => {
        assert.deepEqual(await queue.change(incarnation, leases, keys), ['busy', 'changed']);
        assert.deepEqual(bodiesOf(await readAll(queue)), ['b:1', 'b:2', 'b:3']);
      });
      assert.deepEqual(await queue.change(incarnation, leases, keys), ['changed', 'changed']);
      assert.deepEqual(bodiesOf(await readAll(queue), 'a'), ['a:1', 'a:2', 'a:3']);
    },
  },
  {
    name: 'renews all leases but one that is locked, and says that its slot is not lost',
    guards:
      'Whoever locks one lease row lets all leases of a process lapse: its work begins anew ' +
      'elsewhere, and crashes are counted that were none.',
    async run(fixture) {
      const { queue } = fixture;
      const { incarnation, leases } = await own(queue);
      const [locked] = leases;
      assert.ok(locked);
      await whileLocked(fixture, { leases: [locked.slot] }, async () => {
        const renewed = await queue.renew(incarnation, LONG_MS);
        assert.equal(renewed.leases.length, leases.length - 1);
        assert.deepEqual(renewed.busy, [locked.slot]);
      });
      const after = await queue.renew(incarnation, LONG_MS);
      assert.equal(after.leases.length, leases.length);
      assert.deepEqual(after.busy, []);
    },
  },
  {
    name: 'works on in other slots while a lease row is locked',
    guards: 'A statement for many slots waits for the lease row of one.',
    async run(fixture) {
      const { queue, newQueue } = fixture;
      const { incarnation, leases } = await own(queue);
      const [a, b] = await rowsOf(fixture, ['a', 'b']);
      assert.ok(a && b && a.slot !== b.slot);
      const [ofA, ofB] = [a, b].map(({ slot }) => leases.find((lease) => lease.slot === slot));
      assert.ok(ofA && ofB);
      await whileLocked(fixture, { leases: [a.slot] }, async () => {
        const both = [retry(a), retry(b)];
        assert.deepEqual(await queue.change(incarnation, leases, both), ['busy', 'changed']);
        assert.equal(await queue.noteSuspect(incarnation, ofA, '42'), false);
        assert.equal(await queue.noteSuspect(incarnation, ofB, '42'), true);
        await queue.leave(incarnation);
        const other = await own(await newQueue());
        assert.equal(other.leases.length, leases.length - 1);
        assert.ok(other.leases.every(({ crashes }) => crashes === 0));
      });
      assert.deepEqual(await queue.change(incarnation, leases, [retry(a)]), ['changed']);
      assert.deepEqual(await queue.change(incarnation, leases, [retry(b)]), ['lost_lease']);
    },
  },
  {
    name: 'takes back crashes beside a locked lease row, and says which are left',
    guards: 'A process that was stopped for a moment cannot take back any crash, or forgets one.',
    async run(fixture) {
      const { queue, newQueue, pass } = fixture;
      const lapsed = await own(queue, 150);
      await pass(200);
      const other = await newQueue();
      const owner = await own(other);
      const [locked] = lapsed.leases;
      assert.ok(locked);
      await whileLocked(fixture, { leases: [locked.slot] }, async () => {
        const told = await queue.retractCrashes(lapsed.leases);
        assert.equal(told.length, lapsed.leases.length - 1);
        assert.ok(!told.includes(locked));
      });
      const { leases } = await other.renew(owner.incarnation, LONG_MS);
      assert.deepEqual(
        leases.filter(({ crashes }) => crashes > 0).map(({ slot }) => slot),
        [locked.slot],
      );
      assert.deepEqual(await queue.retractCrashes([locked]), [locked]);
    },
  },
];
