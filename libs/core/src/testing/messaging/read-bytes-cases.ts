import assert from 'node:assert/strict';
import { ROW_BYTES } from '../../ports/index.js';
import type { ContractCase } from '../contract-case.js';
import { outboxMessage } from './outbox-message.js';
import { ANY_BYTES, type SlotQueueFixture } from './slot-queue-fixture.js';

export const readBytesCases: readonly ContractCase<SlotQueueFixture>[] = [
  {
    name: 'reads up to the row that brings the payloads to the bound, whatever follows, and says so',
    guards: 'A few large messages read at once kill their process, and then the next one.',
    async run({ queue, add }) {
      const of = (bytes: number) => ({ payload: new Uint8Array(bytes).fill(0x31) });
      const keys = Array.from({ length: 12 }, (_, n) => `k${n}`);
      await add(keys.map((key) => ({ ...outboxMessage(key, 1), ...of(100_000) })));
      const read = (bytes: number, limit = 1_000) =>
        queue.read({
          windows: Array.from({ length: queue.slots }, (_, slot) => ({ slot, floor: '0' })),
          inFlight: [],
          perSlot: 1_000,
          limit,
          bytes,
        });
      const each = 100_000 + ROW_BYTES;
      for (const [bytes, rows] of [
        [1, 1],
        [each, 1],
        [each + 1, 2],
        [4 * each, 4],
        [4 * each + 1, 5],
      ] as const) {
        const some = await read(bytes);
        assert.deepEqual([some.rows.length, some.complete], [rows, false], String(bytes));
      }
      const all = await read(12 * each + 1);
      assert.deepEqual([all.rows.length, all.complete], [12, true]);
      assert.equal((await read(ANY_BYTES, 12)).complete, false);
      await add([{ ...outboxMessage('small', 1), ...of(10) }]);
      const past = await queue.read({
        windows: Array.from({ length: queue.slots }, (_, slot) => ({ slot, floor: '0' })),
        inFlight: [],
        perSlot: 1_000,
        limit: 1_000,
        bytes: each + 1,
        passingOver: { keys: [], topics: [], within: 1_000 },
      });
      assert.equal(past.complete, false);
      assert.ok(past.rows.length >= 2 && past.rows.length <= 3);
    },
  },
];
