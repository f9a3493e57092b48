import assert from 'node:assert/strict';
import { ROW_BYTES } from '../../ports/index.js';
import type { ContractCase } from '../contract-case.js';
import { outboxMessage } from './outbox-message.js';
import { change, retry } from './slot-changes.js';
import {
  ANY_BYTES,
  bodiesOf,
  LONG_MS,
  own,
  readAll,
  rowOf,
  type SlotQueueFixture,
} from './slot-queue-fixture.js';

const TEN = { limit: 10, bytes: ANY_BYTES, inFlight: [] };

export const retryCases: readonly ContractCase<SlotQueueFixture>[] = [
  {
    name: 'keeps a retry from being read, gives it back when it is due, and counts what counts',
    guards: 'Backoff: a refused message must neither come at once nor be forgotten.',
    async run(fixture) {
      const { queue, add, pass } = fixture;
      await add([outboxMessage('far', 1)]);
      const owner = await own(queue);
      const far = rowOf(await readAll(queue), 'far:1');
      assert.deepEqual(await change(fixture, owner, [retry(far, LONG_MS)]), ['changed']);
      assert.deepEqual(await readAll(queue), []);
      assert.deepEqual(await queue.readDueRetries(owner.incarnation, owner.leases, TEN), []);
      const due = await queue.nextDueInMs([far.slot]);
      assert.ok(due !== null && due > 0 && due <= LONG_MS);
      assert.equal(await queue.nextDueInMs([(far.slot + 1) % queue.slots]), null);
      await add([outboxMessage('k', 1)]);
      const row = rowOf(await readAll(queue), 'k:1');
      assert.deepEqual(await change(fixture, owner, [retry(row, 200)]), ['changed']);
      await pass(250);
      const [again] = await queue.readDueRetries(owner.incarnation, owner.leases, TEN);
      assert.equal(again?.seq, row.seq);
      assert.equal(again.attempts, 1);
      assert.deepEqual(await change(fixture, owner, [retry(again, 0, false)]), ['changed']);
      await pass(5);
      const [uncounted] = await queue.readDueRetries(owner.incarnation, owner.leases, TEN);
      assert.equal(uncounted?.attempts, 1);
    },
  },
  {
    name: 'gives back only the first retry of a key, and every unordered one',
    guards: 'Order per key among retries.',
    async run(fixture) {
      const { queue, add, pass } = fixture;
      await add([outboxMessage('k', 1), outboxMessage('k', 2), outboxMessage('other', 1)]);
      const owner = await own(queue);
      const rows = await readAll(queue);
      await change(
        fixture,
        owner,
        rows.map((row) => retry(row, 0)),
      );
      await pass(5);
      const due = await queue.readDueRetries(owner.incarnation, owner.leases, TEN);
      assert.deepEqual(bodiesOf(due).sort(), ['k:1', 'other:1']);
    },
  },
  {
    name: 'reads due retries up to the row that brings the payloads to the bound, the longest due first',
    guards: 'Retries of a few large messages kill their process, and then the next one.',
    async run(fixture) {
      const { queue, add, pass } = fixture;
      const keys = ['a', 'b', 'c', 'd'];
      await add(
        keys.map((key) => ({
          ...outboxMessage(key, 1),
          payload: new Uint8Array(100_000).fill(0x31),
        })),
      );
      const owner = await own(queue);
      const rows = await readAll(queue);
      for (const key of keys) {
        const row = rows.find(({ message }) => message.key === key);
        assert.ok(row);
        await change(fixture, owner, [retry(row, 0)]);
        await pass(2);
      }
      const due = async (bytes: number, inFlight: readonly string[] = []) => {
        const request = { limit: 10, bytes, inFlight };
        const read = await queue.readDueRetries(owner.incarnation, owner.leases, request);
        return read.map(({ message }) => message.key).sort();
      };
      const each = 100_000 + ROW_BYTES;
      assert.deepEqual(await due(1), ['a']);
      assert.deepEqual(await due(2 * each), ['a', 'b']);
      assert.deepEqual(await due(2 * each + 1), ['a', 'b', 'c']);
      assert.deepEqual(await due(ANY_BYTES), keys);
      const working = rows.filter(({ message }) => message.key < 'c').map(({ seq }) => seq);
      assert.deepEqual(await due(1, working), ['c'], 'what is being worked on takes no place');
    },
  },
];
