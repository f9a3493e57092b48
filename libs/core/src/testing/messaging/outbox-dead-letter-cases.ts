import assert from 'node:assert/strict';
import { newId } from '../../ids.js';
import type { OutboxMessage, QueuedMessage, SlotChange } from '../../ports/index.js';
import type { ContractCase } from '../contract-case.js';
import type { OutboxStoreFixture } from './outbox-fixture.js';
import { outboxMessage } from './outbox-message.js';
import {
  bodiesOf,
  LONG_MS,
  own,
  readAll,
  rowOf,
  whileLocked,
  type Owner,
} from './slot-queue-fixture.js';

function bury(row: QueuedMessage, block = false): SlotChange {
  const place = { slot: row.slot, seq: row.seq };
  return {
    kind: 'dead_letter',
    counts: true,
    place,
    error: 'E: "no"',
    reason: 'attempts_exhausted',
    block,
  };
}

async function dead(
  { outbox }: OutboxStoreFixture,
  messages: readonly OutboxMessage[],
): Promise<Owner> {
  const owner = await own(outbox);
  const ids = new Set(messages.map((message) => message.id));
  const rows = (await readAll(outbox)).filter((row) => ids.has(row.message.id));
  await outbox.change(
    owner.incarnation,
    owner.leases,
    rows.map((row) => bury(row)),
  );
  return owner;
}

export const outboxDeadLetterCases: readonly ContractCase<OutboxStoreFixture>[] = [
  {
    name: 'lists dead letters with all that a person needs, page by page',
    guards: 'Nothing is lost in silence: what cannot be delivered is counted, listed, replayable.',
    async run(fixture) {
      const { outbox } = fixture;
      const messages = [1, 2, 3, 4, 5].map((n) =>
        outboxMessage(`k${n}`, n, {
          topic: n % 2 === 0 ? 'even' : 'odd',
          type: `t.${n}`,
          headers: { n: `${n}` },
        }),
      );
      await outbox.append([...messages, outboxMessage('alive', 1)]);
      await dead(fixture, messages);
      assert.deepEqual(bodiesOf(await readAll(outbox)), ['alive:1']);
      const pages = [];
      let after: string | undefined;
      for (;;) {
        const page = await outbox.listDeadLetters({
          limit: 2,
          ...(after === undefined ? {} : { after }),
        });
        if (page.length === 0) break;
        pages.push(...page);
        after = page.at(-1)?.cursor;
      }
      assert.deepEqual(
        pages.map((letter) => letter.id),
        messages.map((message) => message.id),
      );
      const [first] = pages;
      assert.ok(first && messages[0]);
      assert.equal(first.error, 'E: "no"');
      assert.equal(first.reason, 'attempts_exhausted');
      assert.equal(first.attempts, 1, 'the last attempt counts as well');
      assert.equal(first.topic, 'odd');
      assert.equal(first.type, 't.1');
      assert.equal(first.key, 'k1');
      assert.deepEqual({ ...first.headers }, { n: '1' });
      assert.deepEqual([...first.payload], [...messages[0].payload]);
      assert.ok(first.diedAt.getTime() > 0);
      assert.equal((await outbox.listDeadLetters({ topic: 'even' })).length, 2);
      assert.equal((await outbox.listDeadLetters({ type: 't.3' })).length, 1);
      assert.equal((await outbox.listDeadLetters({ key: 'k5' })).length, 1);
      assert.equal((await outbox.listDeadLetters({ key: 'nobody' })).length, 0);
    },
  },
  {
    name: 'puts a dead letter back at its place in its key, fresh, and says so to the owner',
    guards:
      'A replayed message comes before what follows it; an owner with a floor must look back.',
    async run(fixture) {
      const { outbox } = fixture;
      const head = outboxMessage('k', 1);
      await outbox.append([head, outboxMessage('k', 2)]);
      const owner = await dead(fixture, [head]);
      const [letter] = await outbox.listDeadLetters({});
      assert.ok(letter);
      assert.deepEqual(await outbox.replayDeadLetters([newId(), letter.id]), ['unknown', 'done']);
      assert.deepEqual(await outbox.replayDeadLetters([letter.id]), ['unknown']);
      const rows = await readAll(outbox);
      assert.deepEqual(bodiesOf(rows), ['k:1', 'k:2']);
      const [first] = rows;
      assert.ok(first);
      assert.equal(first.attempts, 0);
      const before = owner.leases.find((lease) => lease.slot === first.slot);
      const { leases } = await outbox.renew(owner.incarnation, LONG_MS);
      const after = leases.find((lease) => lease.slot === first.slot);
      assert.ok(before && after && after.version > before.version);
      assert.equal(after.epoch, before.epoch);
    },
  },
  {
    name: 'removes a dead letter for good, and says so to the owner',
    guards: 'Followers of a blocking message wait for somebody who knows that it is gone.',
    async run(fixture) {
      const { outbox } = fixture;
      await outbox.append([outboxMessage('k', 1), outboxMessage('k', 2)]);
      const owner = await own(outbox);
      const [head, follower] = await readAll(outbox);
      assert.ok(head && follower);
      await outbox.change(owner.incarnation, owner.leases, [
        bury(head, true),
        { kind: 'hold', place: { slot: follower.slot, seq: follower.seq } },
      ]);
      assert.deepEqual(
        (await outbox.heldKeys(owner.incarnation, owner.leases)).map((key) => key.head),
        [head.seq],
      );
      assert.deepEqual(await outbox.discardDeadLetters([head.message.id]), ['done']);
      assert.deepEqual(await outbox.discardDeadLetters([head.message.id]), ['unknown']);
      assert.deepEqual(await outbox.listDeadLetters({}), []);
      assert.deepEqual(
        (await outbox.heldKeys(owner.incarnation, owner.leases)).map((key) => key.head),
        [null],
      );
      const { leases } = await outbox.renew(owner.incarnation, LONG_MS);
      const before = owner.leases.find((lease) => lease.slot === head.slot)?.version ?? Infinity;
      assert.ok((leases.find((lease) => lease.slot === head.slot)?.version ?? 0) > before);
    },
  },
  {
    name: 'replays and discards only what is dead',
    guards: 'An operator with a wrong id must not remove what is still to be sent.',
    async run({ outbox }) {
      const alive = outboxMessage('k', 1);
      await outbox.append([alive]);
      assert.deepEqual(await outbox.discardDeadLetters([alive.id]), ['unknown']);
      assert.deepEqual(await outbox.replayDeadLetters([alive.id]), ['unknown']);
      assert.deepEqual(bodiesOf(await readAll(outbox)), ['k:1']);
    },
  },
  {
    name: 'puts mail in the transaction that buries a command, once, and only if it buries it',
    guards: 'A command that dies sends no answer: without the mail its saga waits for ever.',
    async run(fixture) {
      const { outbox, mailOf } = fixture;
      const sagaId = newId();
      await outbox.append([outboxMessage('k', 1)]);
      const owner = await own(outbox);
      const row = rowOf(await readAll(outbox), 'k:1');
      const mail = { sagaId, kind: 'reply', dedupeKey: 'reply:1', data: '{"status":"failed"}' };
      const change = { ...bury(row), mail } as const;
      const stale = owner.leases.map((lease) => ({ ...lease, epoch: lease.epoch - 1 }));
      assert.deepEqual(await outbox.change(owner.incarnation, stale, [change]), ['lost_lease']);
      assert.deepEqual(await mailOf(sagaId), []);
      assert.deepEqual(await outbox.change(owner.incarnation, owner.leases, [change]), ['changed']);
      const [letter] = await mailOf(sagaId);
      assert.equal(letter?.dedupeKey, 'reply:1');
      assert.deepEqual(JSON.parse(letter.data), { status: 'failed' });
      await outbox.complete([{ slot: row.slot, seq: row.seq }]);
      await outbox.change(owner.incarnation, owner.leases, [change]);
      assert.equal((await mailOf(sagaId)).length, 1);
    },
  },
  {
    name: 'replays and discards dead letters beside one that is locked, which is busy',
    guards:
      'A replay that waits for one row holds the leases of all its slots meanwhile, and the relay ' +
      'loses them.',
    async run(fixture) {
      const { outbox } = fixture;
      const messages = ['a', 'b', 'c', 'd'].map((key) => outboxMessage(key, 1));
      await outbox.append(messages);
      const rows = await readAll(outbox);
      const [, b, , d] = ['a', 'b', 'c', 'd'].map((key) => rowOf(rows, `${key}:1`));
      assert.ok(b && d);
      const owner = await dead(fixture, messages);
      const [first, second, third, fourth] = messages.map(({ id }) => id);
      assert.ok(first && second && third && fourth);
      await whileLocked(fixture, { rows: [b, d] }, async () => {
        const replay = outbox.replayDeadLetters([first, second]);
        const discard = outbox.discardDeadLetters([third, fourth]);
        const renewed = await outbox.renew(owner.incarnation, LONG_MS);
        assert.ok(renewed.leases.length >= outbox.slots - 4);
        assert.deepEqual(await replay, ['done', 'busy']);
        assert.deepEqual(await discard, ['done', 'busy']);
      });
      assert.deepEqual(await outbox.replayDeadLetters([second]), ['done']);
      assert.deepEqual(await outbox.discardDeadLetters([fourth]), ['done']);
      assert.deepEqual(bodiesOf(await readAll(outbox)).sort(), ['a:1', 'b:1']);
    },
  },
];
