import assert from 'node:assert/strict';
import { placeOfKey } from '../../messaging/index.js';
import type { ContractCase } from '../contract-case.js';
import { neighbourOf, outboxMessage } from './outbox-message.js';
import { change, retry } from './slot-changes.js';
import { ANY_BYTES, bodiesOf, own, readAll, type SlotQueueFixture } from './slot-queue-fixture.js';

const TEN = { limit: 10, bytes: ANY_BYTES, inFlight: [] };

/** A key of the topic whose messages lie in the slot. */
function keyIn(slot: number, topic: string): string {
  for (let n = 0; ; n += 1) if (placeOfKey('', topic, `o${n}`).slot === slot) return `o${n}`;
}

/** Reads and looks that leave out topics, because a topic that is away must cost the others nothing. */
export const topicCases: readonly ContractCase<SlotQueueFixture>[] = [
  {
    name: 'reads past topics that are left out, no further than it is told',
    guards: 'A topic that is away costs the others nothing, however much of it waits.',
    async run({ queue, add }) {
      await add([1, 2, 3].map((n) => outboxMessage('k', n)));
      const [first] = await readAll(queue);
      assert.ok(first);
      const { slot } = first;
      const key = keyIn(slot, 'other');
      await add([outboxMessage(key, 4, { topic: 'other' })]);
      const read = async (topics: readonly string[], within: number): Promise<string[]> =>
        bodiesOf(
          await readAll(queue, {
            windows: [{ slot, floor: '0' }],
            passingOver: { keys: [], topics, within },
          }),
        );
      assert.deepEqual(await read(['orders'], 100), [`${key}:4`]);
      assert.deepEqual(await read(['orders'], 3), []);
      assert.deepEqual(await read(['other'], 100), ['k:1', 'k:2', 'k:3']);
      assert.deepEqual(await read(['orders', 'other'], 100), []);
    },
  },
  {
    name: 'says how far the next messages of a slot belong to topics, in flight or not',
    guards: 'A reader that leaves topics out goes on behind them, and loses no other message.',
    async run({ queue, add }) {
      const neighbour = neighbourOf('k');
      const topics = [outboxMessage('k', 1).topic];
      await add([outboxMessage('k', 1), outboxMessage(neighbour, 1), outboxMessage('k', 2)]);
      const [first, second, third] = await readAll(queue);
      assert.ok(first !== undefined && second !== undefined && third !== undefined);
      const windows = [{ slot: first.slot, floor: '0' }];
      const pass = async (left: readonly string[], within: number, floor = '0') => {
        const passed = await queue.passTopics({
          windows: [{ slot: first.slot, floor }],
          topics: left,
          within,
        });
        return passed.slots;
      };
      const { slot } = first;
      assert.deepEqual(await pass(topics, 2), [{ slot, upTo: second.seq, more: true }]);
      assert.deepEqual(await pass(topics, 5), [{ slot, upTo: third.seq, more: false }]);
      assert.deepEqual(await pass(topics, 5, third.seq), []);
      const before = (BigInt(first.seq) - 1n).toString();
      assert.deepEqual(await pass(['other'], 5), [{ slot, upTo: before, more: false }]);
      const { snapshotXmin } = await queue.passTopics({ windows, topics, within: 1 });
      assert.ok(BigInt(snapshotXmin) > 0n);
    },
  },
  {
    name: 'leaves topics out of due retries, and of what is due next, from a floor on',
    guards: 'Due retries of a topic that is away hide no others and are not read again and again.',
    async run(fixture) {
      const { queue, add, pass } = fixture;
      await add([outboxMessage('k', 1), outboxMessage('k', 1, { topic: 'other' })]);
      const owner = await own(queue);
      const rows = await readAll(queue);
      await change(
        fixture,
        owner,
        rows.map((row) => retry(row, 0)),
      );
      await pass(5);
      const slots = owner.leases.map(({ slot }) => slot);
      const due = async (topics: readonly string[], within = 10) => {
        const without = { topics, floors: [], within };
        const read = await queue.readDueRetries(owner.incarnation, owner.leases, {
          ...TEN,
          without,
        });
        return [
          read.map(({ message }) => message.topic).sort(),
          await queue.nextDueInMs(slots, without),
        ];
      };
      assert.deepEqual(await due([]), [['orders', 'other'], 0]);
      assert.deepEqual(await due(['other']), [['orders'], 0]);
      assert.deepEqual(await due(['orders', 'other']), [[], null]);
    },
  },
];
