import assert from 'node:assert/strict';
import type { SlotChange, SlotChangeOutcome } from '../../ports/index.js';
import type { ContractCase } from '../contract-case.js';
import { outboxMessage } from './outbox-message.js';
import {
  LONG_MS,
  own,
  type Owner,
  readAll,
  rowOf,
  stagger,
  type SlotQueueFixture,
} from './slot-queue-fixture.js';

/** How long a lease lives that a case waits out. Nothing may be asked of its owner within that time. */
const TTL_MS = 150;
const SHORT_TTL_MS = 20;

export const leaseCases: readonly ContractCase<SlotQueueFixture>[] = [
  {
    name: 'messages wait for nobody until a member lives',
    guards: 'An outbox without a relay, or a group without a process, waits in silence.',
    async run({ queue, add, pass }) {
      assert.equal(await queue.unserved(), null, 'nothing waits');
      await add([outboxMessage('a', 1)]);
      const waited = await queue.unserved();
      assert.ok(
        waited !== null && waited >= 0,
        `It waits for nobody, and ${String(waited)} says so.`,
      );
      await queue.join('short', TTL_MS);
      await pass(2 * TTL_MS);
      assert.notEqual(await queue.unserved(), null, 'a member has died');
      await queue.join('long', LONG_MS);
      assert.equal(await queue.unserved(), null, 'another one lives');
    },
  },
  {
    name: 'two owners that ask at once share no slot and leave none over',
    guards: 'One key has one worker: with two its messages would overtake each other.',
    async run({ queue, newQueue }) {
      const other = await newQueue();
      const [a, b] = await Promise.all([own(queue), own(other)]);
      const late = await own(queue);
      const slots = [...a.leases, ...b.leases, ...late.leases].map((lease) => lease.slot);
      assert.equal(new Set(slots).size, slots.length);
      assert.equal(slots.length, queue.slots);
    },
  },
  {
    name: 'takes no more slots than it asks for',
    guards: 'Fair shares: a newcomer must not take everything that is free.',
    async run({ queue }) {
      await queue.join('a', LONG_MS);
      assert.equal((await queue.acquire('a', LONG_MS, 10)).length, 10);
    },
  },
  {
    name: 'renews all leases of an incarnation and counts the members',
    guards: 'A lease that is missing from the answer is given up; the share comes from the count.',
    async run({ queue, newQueue }) {
      const a = await own(queue);
      const other = await newQueue();
      await other.join('second', LONG_MS);
      const renewed = await queue.renew(a.incarnation, LONG_MS);
      assert.equal(renewed.leases.length, queue.slots);
      assert.equal(renewed.members, 2);
      const second = await other.renew('second', LONG_MS);
      assert.deepEqual(second, { members: 2, leases: [], busy: [] });
    },
  },
  {
    name: 'counts a member whose time is over no longer',
    guards: 'Shares that count the dead leave slots without an owner.',
    async run({ queue, pass }) {
      await queue.join('short', TTL_MS);
      await queue.join('long', LONG_MS);
      await pass(TTL_MS + 50);
      assert.equal((await queue.renew('long', LONG_MS)).members, 1);
    },
  },
  {
    name: 'gives nobody a slot whose lease is alive, and everybody one whose lease is over',
    guards: 'A dead owner must not keep its messages for ever.',
    async run({ queue, newQueue, pass }) {
      const a = await own(queue);
      const other = await newQueue();
      assert.equal((await own(other)).leases.length, 0);
      await queue.renew(a.incarnation, TTL_MS);
      await pass(TTL_MS + 50);
      const b = await own(other);
      assert.equal(b.leases.length, queue.slots);
      const before = new Map(a.leases.map((lease) => [lease.slot, lease.epoch]));
      for (const lease of b.leases) assert.ok(lease.epoch > (before.get(lease.slot) ?? Infinity));
      assert.equal((await queue.renew(a.incarnation, LONG_MS)).leases.length, 0);
    },
  },
  {
    name: 'counts a crash when an owner died, one more each time, and none when it gave back',
    guards: 'A message that kills its process is found only by counting the deaths.',
    async run({ queue, pass }) {
      const first = await own(queue, TTL_MS);
      assert.ok(first.leases.every((lease) => lease.crashes === 0));
      await pass(TTL_MS + 50);
      const second = await own(queue, TTL_MS);
      assert.ok(second.leases.every((lease) => lease.crashes === 1));
      await pass(TTL_MS + 50);
      const third = await own(queue);
      assert.ok(third.leases.every((lease) => lease.crashes === 2));
      await queue.release(
        third.incarnation,
        third.leases.slice(0, 4).map((lease) => lease.slot),
      );
      assert.ok((await own(queue)).leases.every((lease) => lease.crashes === 0));
      await queue.leave(third.incarnation);
      const fourth = await own(queue);
      assert.equal(fourth.leases.length, queue.slots - 4);
      assert.ok(fourth.leases.every((lease) => lease.crashes === 0));
    },
  },
  {
    name: 'keeps the number of the suspect over the death of the owner, until it has survived',
    guards: 'Only the message that was worked on when the process died counts an attempt.',
    async run({ queue, pass }) {
      const a = await own(queue);
      const [lease, second] = a.leases;
      assert.ok(lease !== undefined && second !== undefined);
      await queue.noteSuspect(a.incarnation, lease, '42');
      await queue.noteSuspect(a.incarnation, second, '43');
      await queue.noteSuspect(a.incarnation, second, null);
      await queue.renew(a.incarnation, TTL_MS);
      await pass(TTL_MS + 50);
      const b = await own(queue);
      const suspects = new Map(b.leases.map((taken) => [taken.slot, taken.suspect]));
      assert.equal(suspects.get(lease.slot), '42');
      assert.equal(suspects.get(second.slot), null);
      const again = b.leases.find((taken) => taken.slot === lease.slot);
      assert.ok(again);
      await queue.noteSuspect(b.incarnation, again, null);
      const renewed = await queue.renew(b.incarnation, LONG_MS);
      const cleared = renewed.leases.find((taken) => taken.slot === lease.slot);
      assert.equal(cleared?.suspect, null);
      assert.equal(cleared.crashes, 0);
    },
  },
  {
    name: 'takes back the crash of an owner whose lease lapsed and who lives, and no other',
    guards:
      'A process that was stopped for a moment is no crash: counted as one, it makes innocent ' +
      'messages wait for each other. Hole: what is taken back for it belongs to a process that died.',
    async run({ queue, newQueue, pass }) {
      const other = await newQueue();
      const standing = async (owner: Owner, slot: number) => {
        const { leases } = await queue.renew(owner.incarnation, LONG_MS);
        const lease = leases.find((one) => one.slot === slot);
        assert.ok(lease);
        return [lease.crashes, lease.suspect];
      };
      const a = await own(queue, TTL_MS);
      const [lapsedFirst, ...rest] = a.leases;
      assert.ok(lapsedFirst);
      const { slot } = lapsedFirst;
      await pass(TTL_MS + 50);
      const b = await own(other);
      const lapsedSecond = b.leases.find((lease) => lease.slot === slot);
      assert.ok(lapsedSecond);
      await queue.retractCrashes([]);
      await queue.retractCrashes(rest);
      assert.deepEqual(await standing(b, slot), [1, null], 'said of other slots');
      await queue.noteSuspect(b.incarnation, lapsedSecond, '42');
      await other.renew(b.incarnation, TTL_MS);
      await pass(TTL_MS + 50);
      const c = await own(queue);
      await queue.retractCrashes([lapsedFirst]);
      assert.deepEqual(
        await standing(c, slot),
        [2, '42'],
        'said too late: it has had another owner',
      );
      await queue.retractCrashes([lapsedSecond]);
      await queue.retractCrashes([lapsedSecond]);
      assert.deepEqual(await standing(c, slot), [1, '42'], 'the crash before it stays');
      const again = c.leases.find((lease) => lease.slot === slot);
      assert.ok(again);
      await queue.retractCrashes([{ ...again, epoch: again.epoch - 1, crashes: 0 }]);
      assert.deepEqual(await standing(c, slot), [0, null], 'without a crash nothing is suspected');
      await queue.retractCrashes([{ ...again, epoch: again.epoch - 1, crashes: 5 }]);
      assert.deepEqual(await standing(c, slot), [0, null], 'and never is one added');
    },
  },
  {
    name: "refuses a stale owner's changes after a take-over, and changes nothing",
    guards:
      'Hole: a late retry of the old owner moves a message aside that the new one has passed.',
    async run({ queue, newQueue, add, pass }) {
      await add([outboxMessage('k', 1)]);
      const a = await own(queue, TTL_MS);
      const row = rowOf(await readAll(queue), 'k:1');
      await pass(TTL_MS + 50);
      const other = await newQueue();
      await own(other);
      const place = { slot: row.slot, seq: row.seq };
      assert.deepEqual(
        await queue.change(a.incarnation, a.leases, [
          { kind: 'retry', place, delayMs: 0, counts: true, error: 'late' },
          { kind: 'hold', place },
          { kind: 'dead_letter', counts: true, place, error: 'late', reason: 'late', block: true },
        ]),
        ['lost_lease', 'lost_lease', 'lost_lease'],
      );
      const after = rowOf(await readAll(other), 'k:1');
      assert.equal(after.attempts, 0);
    },
  },
  {
    name: 'lets no change of a stale owner land behind a take-over, however they are staggered',
    guards:
      'Hole: a fence that only looks whether the lease exists passes, waits a moment, and lands ' +
      'after the new owner has read which keys are held back.',
    async run({ queue, newQueue, add, pass }) {
      const other = await newQueue();
      for (let round = 0; round < 40; round += 1) {
        await add([outboxMessage(`k${round}`, 1)]);
        // Each round waits for the end of a lease that nothing is done with before it ends.
        const a = await own(queue, SHORT_TTL_MS);
        const row = rowOf(await readAll(queue), `k${round}:1`);
        await pass(SHORT_TTL_MS + 20);
        const changing = (async (): Promise<SlotChangeOutcome | undefined> => {
          await stagger(round % 3);
          const [outcome] = await queue.change(a.incarnation, a.leases, [
            {
              kind: 'retry',
              place: { slot: row.slot, seq: row.seq },
              delayMs: LONG_MS,
              counts: true,
              error: 'race',
            },
          ]);
          return outcome;
        })();
        const taking = (async () => {
          await stagger((round >> 1) % 5);
          const b = await own(other);
          return { b, held: await other.heldKeys(b.incarnation, b.leases) };
        })();
        const [outcome, { b, held }] = await Promise.all([changing, taking]);
        const mine = b.leases.some((lease) => lease.slot === row.slot);
        if (mine) {
          const seen = held.some((key) => key.key === `k${round}`);
          assert.equal(outcome === 'changed', seen, `round ${round}: ${outcome}, seen: ${seen}`);
        }
        await queue.complete([{ slot: row.slot, seq: row.seq }]);
        await other.leave(b.incarnation);
        await queue.leave(a.incarnation);
      }
    },
  },
  {
    name: 'makes no retry of a message that is behind another of its key',
    guards:
      'Order per key: where a retry must be the first of its key. A message that was noted before it was moved aside was not in work. Made a retry ' +
      'when its process dies, it would be handled before the messages that lie aside in front of it.',
    async run({ queue, add }) {
      const owner = await own(queue);
      await add(['head', 'follower', 'noted'].map((body) => outboxMessage('first', body)));
      const rows = await readAll(queue);
      const place = (body: string): { slot: number; seq: string } => {
        const { slot, seq } = rowOf(rows, `first:${body}`);
        return { slot, seq };
      };
      const retry = (body: string, onlyFirst: boolean): SlotChange => ({
        kind: 'retry',
        place: place(body),
        delayMs: LONG_MS,
        counts: true,
        error: 'spec',
        ...(onlyFirst ? { onlyFirst: true } : {}),
      });
      const change = async (...changes: SlotChange[]): Promise<readonly SlotChangeOutcome[]> =>
        queue.change(owner.incarnation, owner.leases, changes);
      assert.deepEqual(await change(retry('noted', true)), ['gone'], 'behind pending ones');
      assert.deepEqual(await change({ kind: 'hold', place: place('follower') }), ['changed']);
      await queue.complete([place('head')]);
      assert.deepEqual(await change(retry('noted', true)), ['gone'], 'behind one that lies aside');
      await queue.complete([place('follower')]);
      assert.deepEqual(await change(retry('noted', true)), ['changed'], 'the first of its key');
      assert.deepEqual(await change(retry('noted', true)), ['changed'], 'said again');
    },
  },
];
