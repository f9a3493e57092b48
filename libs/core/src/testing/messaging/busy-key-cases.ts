import assert from 'node:assert/strict';
import type { ContractCase } from '../contract-case.js';
import { neighbourOf, outboxMessage } from './outbox-message.js';
import { bodiesOf, readAll, type SlotQueueFixture } from './slot-queue-fixture.js';

export const busyKeyCases: readonly ContractCase<SlotQueueFixture>[] = [
  {
    name: 'reads on behind the rows of keys that are passed over, as far as it is told',
    guards: 'Hole: the messages of other keys wait behind those of a key that is busy for long.',
    async run({ queue, add }) {
      await add([1, 2, 3, 4].map((n) => outboxMessage('busy', n)));
      const [first] = await readAll(queue);
      assert.ok(first);
      const { slot } = first;
      // An unordered message waits for no other of its key.
      await add([outboxMessage('busy', 'free', { ordered: false })]);
      const neighbour = neighbourOf('busy');
      await add([1, 2, 3].map((n) => outboxMessage(neighbour, n)));
      await add([outboxMessage('busy', 5)]);
      const { tenant, topic, key } = first.message;
      const read = async (within: number, perSlot = 100): Promise<string[]> =>
        bodiesOf(
          await readAll(queue, {
            windows: [{ slot, floor: '0' }],
            inFlight: [first.seq],
            perSlot,
            passingOver: { keys: [{ slot, tenant, topic, key }], topics: [], within },
          }),
        );
      const behind = ['busy:free', ...[1, 2, 3].map((n) => `${neighbour}:${n}`)];
      assert.deepEqual(await read(1_000), behind);
      assert.deepEqual(await read(1_000, 2), behind.slice(0, 2));
      // The fourth row that it looks at is the last one of the busy key.
      assert.deepEqual(await read(4), []);
      assert.deepEqual(await read(6), behind.slice(0, 2));
      const quotes = [{ slot, tenant, topic, key: `it's "{a,b}" \\ NULL` }];
      const all = await readAll(queue, {
        windows: [{ slot, floor: '0' }],
        passingOver: { keys: quotes, topics: [], within: 1_000 },
      });
      assert.equal(all.length, 9);
    },
  },
];
