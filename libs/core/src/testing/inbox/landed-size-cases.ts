import assert from 'node:assert/strict';
import { ROW_BYTES } from '../../ports/index.js';
import type { ContractCase } from '../contract-case.js';
import { WAIT_MS, type InboxStoreFixture } from './inbox-fixture.js';
import {
  buryKeyed,
  freshGroup,
  keyed,
  landAll,
  landedRow,
  landing,
  workerOf,
} from './landing-fixture.js';

const LATER_MS = 3_600_000;

/** How much waits in the landing queue of a group, by which it is bounded. */
export const landedSizeCases: readonly ContractCase<InboxStoreFixture>[] = [
  {
    name: 'the size of a landing queue is what waits in it, in whatever lane, dead letters left out',
    guards:
      'A queue whose bounds are not seen grows for ever; one in which dead letters count would stop its group for ever.',
    async run({ store, newStore }) {
      const group = freshGroup();
      const other = await newStore();
      assert.deepEqual(await store.inbox.landedSize(group, 100), { messages: 0, bytes: 0 });
      const of = (bytes: number) => keyed(group, { payload: new Uint8Array(bytes) });
      const [head, follower] = [of(10), of(20)];
      await landAll(store, head, follower, keyed(freshGroup()));
      const retry = { delayMs: LATER_MS, error: 'Error: no' };
      await store.inbox.land([landing(of(3_000), { attempts: 1, retry })], WAIT_MS);
      const worker = await workerOf(store, group);
      const row = await landedRow(worker, head);
      const place = { slot: row.lease.slot, seq: row.seq };
      const second = await landedRow(worker, follower);
      await worker.queue.change(worker.incarnation, worker.leases, [
        { kind: 'retry', place, delayMs: LATER_MS, counts: true, error: 'Error: no' },
        { kind: 'hold', place: { ...place, seq: second.seq } },
      ]);
      await buryKeyed(store, of(500), { blocks: true });
      const size = { messages: 3, bytes: 3 * ROW_BYTES + 3_030 };
      assert.deepEqual(await store.inbox.landedSize(group, 100), size);
      assert.deepEqual(await other.inbox.landedSize(group, 3), size);
      assert.equal((await store.inbox.landedSize(group, 2)).messages, 2, 'no more are counted');
    },
  },
];
