import assert from 'node:assert/strict';
import type { ContractCase } from '../contract-case.js';
import { outboxMessage } from './outbox-message.js';
import { bury, change, hold, retry } from './slot-changes.js';
import {
  bodiesOf,
  LONG_MS,
  own,
  readAll,
  rowOf,
  whileOpen,
  type SlotQueueFixture,
} from './slot-queue-fixture.js';

export const rowCases: readonly ContractCase<SlotQueueFixture>[] = [
  {
    name: 'shows the rows of each slot in order, from the floor on, without what is in flight',
    guards: 'Order per key, and no message twice while its first publish is still under way.',
    async run({ queue, add }) {
      await add([1, 2, 3, 4, 5].map((n) => outboxMessage('k', n)));
      const all = await readAll(queue);
      assert.deepEqual(bodiesOf(all), ['k:1', 'k:2', 'k:3', 'k:4', 'k:5']);
      const [first, second, third] = all;
      assert.ok(first && second && third);
      const rest = await readAll(queue, {
        windows: [{ slot: first.slot, floor: first.seq }],
        inFlight: [third.seq],
        perSlot: 2,
      });
      assert.deepEqual(bodiesOf(rest), ['k:2', 'k:4']);
      const limited = await readAll(queue, { limit: 3 });
      assert.deepEqual(bodiesOf(limited), ['k:1', 'k:2', 'k:3']);
      const elsewhere = (first.slot + 1) % queue.slots;
      assert.deepEqual(await readAll(queue, { windows: [{ slot: elsewhere, floor: '0' }] }), []);
    },
  },
  {
    name: 'cuts a slot off only at its end, whatever the limits',
    guards:
      'A floor is raised on the strength of what a read showed: a gap in it would be skipped.',
    async run({ queue, add }) {
      const keys = Array.from({ length: 30 }, (_, n) => `k${n}`);
      for (const key of keys) await add([1, 2, 3, 4].map((n) => outboxMessage(key, n)));
      const all = await readAll(queue);
      for (const limit of [1, 7, 30, 61]) {
        const some = await readAll(queue, { limit, perSlot: 5 });
        assert.equal(some.length, limit);
        for (const slot of new Set(some.map((row) => row.slot))) {
          const shown = some.filter((row) => row.slot === slot).map((row) => row.seq);
          const there = all.filter((row) => row.slot === slot).map((row) => row.seq);
          assert.deepEqual(shown, there.slice(0, shown.length));
        }
      }
    },
  },
  {
    name: 'still shows what was numbered early and committed late',
    guards: 'Hole: a cursor that has passed the number never sees the message.',
    async run(fixture) {
      const { queue, add } = fixture;
      await whileOpen(fixture, [outboxMessage('late', 1)], async (late) => {
        await add([outboxMessage('early', 1)]);
        const first = await readAll(queue);
        assert.deepEqual(bodiesOf(first), ['early:1']);
        await late.commit();
        const second = await readAll(queue, { inFlight: first.map((row) => row.seq) });
        assert.deepEqual(bodiesOf(second), ['late:1']);
      });
    },
  },
  {
    name: 'proves nothing about numbers whose writer is still open',
    guards: 'Hole: a floor above a number that commits later hides its message for ever.',
    async run(fixture) {
      const { queue, add } = fixture;
      await whileOpen(fixture, [outboxMessage('late', 1)], async (late) => {
        await add([outboxMessage('early', 1)]);
        const probe = await queue.probeFloor();
        const before = await queue.read({
          windows: [],
          inFlight: [],
          perSlot: 1,
          limit: 1,
          bytes: 1,
        });
        assert.ok(BigInt(before.snapshotXmin) <= BigInt(probe.xid));
        await late.commit();
        const lateSeq = rowOf(await readAll(queue), 'late:1').seq;
        assert.ok(BigInt(lateSeq) <= BigInt(probe.last));
      });
    },
  },
  {
    name: 'proves at last that all writers up to a number have ended',
    guards: 'A floor that never rises walks through every dead row there ever was.',
    async run({ queue, add, transactions, pass }) {
      await add([outboxMessage('k', 1)]);
      const probe = await queue.probeFloor();
      // Nothing here holds the horizon back, but every transaction that others have open on the server
      // does, in other databases too: those of tests beside this one.
      for (let tries = 0; tries < 3_000; tries += 1) {
        await transactions.run(async (transaction) =>
          add([outboxMessage('other', tries)], transaction),
        );
        const { snapshotXmin } = await queue.read({
          windows: [],
          inFlight: [],
          perSlot: 1,
          limit: 1,
          bytes: 1,
        });
        if (BigInt(snapshotXmin) > BigInt(probe.xid)) return;
        await pass(20);
      }
      assert.fail('No snapshot ever had an xmin above the probe.');
    },
  },
  {
    name: 'names the keys that are held back with the numbers that hold them',
    guards: 'A new owner that does not know them publishes the follower before its head.',
    async run(fixture) {
      const { queue, add } = fixture;
      await add(['retrying', 'blocked', 'skipped', 'free'].map((key) => outboxMessage(key, 1)));
      const owner = await own(queue);
      const rows = await readAll(queue);
      const retrying = rowOf(rows, 'retrying:1');
      const blocked = rowOf(rows, 'blocked:1');
      await change(fixture, owner, [
        retry(retrying, LONG_MS),
        bury(blocked, true),
        bury(rowOf(rows, 'skipped:1'), false),
      ]);
      const held = await queue.heldKeys(owner.incarnation, owner.leases);
      assert.deepEqual(
        [...held].sort((a, b) => (a.key < b.key ? -1 : 1)),
        [
          { slot: blocked.slot, tenant: '', topic: 'orders', key: 'blocked', head: blocked.seq },
          { slot: retrying.slot, tenant: '', topic: 'orders', key: 'retrying', head: retrying.seq },
        ],
      );
      const elsewhere = owner.leases.filter((lease) => lease.slot !== retrying.slot);
      const others = await queue.heldKeys(owner.incarnation, elsewhere);
      assert.ok(others.every((key) => key.key !== 'retrying'));
    },
  },
  {
    name: 'moves followers aside and calls them back in their order',
    guards: 'A retry that forgets the followers it held back leaves them lying for ever.',
    async run(fixture) {
      const { queue, add } = fixture;
      await add([1, 2, 3, 4].map((n) => outboxMessage('k', n)));
      const owner = await own(queue);
      const [head, second, third] = await readAll(queue);
      assert.ok(head && second && third);
      await change(fixture, owner, [retry(head, LONG_MS), hold(second), hold(third)]);
      assert.deepEqual(bodiesOf(await readAll(queue)), ['k:4']);
      await queue.complete([{ slot: head.slot, seq: head.seq }]);
      const { tenant, topic, key } = head.message;
      const name = { slot: head.slot, tenant, topic, key };
      assert.deepEqual(await change(fixture, owner, [{ kind: 'release', key: name }]), ['changed']);
      const back = await readAll(queue);
      assert.deepEqual(bodiesOf(back), ['k:2', 'k:3', 'k:4']);
      assert.equal(back[0]?.seq, second.seq);
    },
  },
  {
    name: 'names a key of which only followers are left',
    guards:
      'An owner that dies between removing the head and calling back its followers leaves them ' +
      'without anybody who would.',
    async run(fixture) {
      const { queue, add } = fixture;
      await add([outboxMessage('k', 1), outboxMessage('k', 2)]);
      const owner = await own(queue);
      const [head, follower] = await readAll(queue);
      assert.ok(head && follower);
      await change(fixture, owner, [retry(head, LONG_MS), hold(follower)]);
      const before = await queue.heldKeys(owner.incarnation, owner.leases);
      assert.deepEqual(
        before.map(({ head: seq }) => seq),
        [head.seq],
      );
      await queue.complete([{ slot: head.slot, seq: head.seq }]);
      const held = await queue.heldKeys(owner.incarnation, owner.leases);
      assert.deepEqual(held, [
        { slot: head.slot, tenant: '', topic: 'orders', key: 'k', head: null },
      ]);
    },
  },
  {
    name: 'releases the key that was named and no other',
    guards: 'A key whose head still waits must not go on because a neighbour did.',
    async run(fixture) {
      const { queue, add } = fixture;
      await add([outboxMessage('a', 1), outboxMessage('b', 1)]);
      const owner = await own(queue);
      const rows = await readAll(queue);
      const [a, b] = [rowOf(rows, 'a:1'), rowOf(rows, 'b:1')];
      await change(fixture, owner, [hold(a), hold(b)]);
      const name = { slot: a.slot, tenant: '', topic: 'orders', key: 'a' };
      await change(fixture, owner, [{ kind: 'release', key: name }]);
      assert.deepEqual(bodiesOf(await readAll(queue)), ['a:1']);
    },
  },
  {
    name: 'removes what is done whoever says so, in any state, and twice without harm',
    guards: 'A stale owner may still say that a message was acknowledged: it was.',
    async run(fixture) {
      const { queue, add } = fixture;
      await add([1, 2, 3].map((n) => outboxMessage('k', n)));
      const owner = await own(queue);
      const [first, second] = await readAll(queue);
      assert.ok(first && second);
      await change(fixture, owner, [retry(first, LONG_MS)]);
      const places = [first, second].map(({ slot, seq }) => ({ slot, seq }));
      await queue.complete(places);
      await queue.complete(places);
      assert.deepEqual(bodiesOf(await readAll(queue)), ['k:3']);
      assert.deepEqual(await change(fixture, owner, [retry(second, 0)]), ['gone']);
      assert.deepEqual(await queue.heldKeys(owner.incarnation, owner.leases), []);
    },
  },
  {
    name: 'answers a batch of changes one by one, in their order',
    guards: 'One outcome that is taken for another loses a message or publishes it twice.',
    async run(fixture) {
      const { queue, add } = fixture;
      await add([1, 2, 3, 4].map((n) => outboxMessage(`k${n}`, n)));
      const owner = await own(queue);
      const rows = await readAll(queue);
      const [a, b, c, d] = ['k1:1', 'k2:2', 'k3:3', 'k4:4'].map((text) => rowOf(rows, text));
      assert.ok(a && b && c && d);
      await queue.complete([{ slot: b.slot, seq: b.seq }]);
      const notMine = owner.leases.filter((lease) => lease.slot !== d.slot);
      const outcomes = await queue.change(owner.incarnation, notMine, [
        hold(a),
        hold(b),
        retry(c, LONG_MS),
        hold(d),
        retry(b, 0),
      ]);
      assert.deepEqual(outcomes, ['changed', 'gone', 'changed', 'lost_lease', 'gone']);
    },
  },
  {
    name: 'retries no message that was given up',
    guards:
      'Who takes a slot over retries the message that was noted there: one that was given up ' +
      'meanwhile would be worked on again, and nobody has replayed it.',
    async run(fixture) {
      const { queue, add } = fixture;
      await add([outboxMessage('k', 1)]);
      const owner = await own(queue);
      const row = rowOf(await readAll(queue), 'k:1');
      assert.deepEqual(await change(fixture, owner, [bury(row, false)]), ['changed']);
      assert.deepEqual(await change(fixture, owner, [retry(row, 0)]), ['gone']);
      assert.equal((await queue.stats()).byStatus.get('dead_letter'), 1);
    },
  },
  {
    name: 'says how many rows stand where and how old the oldest is that could go',
    guards: 'What lies there must be countable, or it lies there in silence.',
    async run(fixture) {
      const { queue, add, pass } = fixture;
      await add([1, 2, 3, 4].map((n) => outboxMessage(`k${n}`, n)));
      const owner = await own(queue);
      const rows = await readAll(queue);
      const [a, b, c] = ['k1:1', 'k2:2', 'k3:3'].map((text) => rowOf(rows, text));
      assert.ok(a && b && c);
      await change(fixture, owner, [hold(a), retry(b, LONG_MS), bury(c, false)]);
      await pass(20);
      const { byStatus, oldestPendingMs } = await queue.stats();
      assert.deepEqual(
        (['pending', 'held', 'retrying', 'dead_letter'] as const).map(
          (status) => byStatus.get(status) ?? 0,
        ),
        [1, 1, 1, 1],
      );
      assert.ok(oldestPendingMs !== null && oldestPendingMs >= 15);
    },
  },
];
