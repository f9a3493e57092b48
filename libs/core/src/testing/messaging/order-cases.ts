import assert from 'node:assert/strict';
import type { OutboxStore, QueuedMessage, Transactions } from '../../ports/index.js';
import type { ContractCase } from '../contract-case.js';
import { queueOf, type OutboxStoreFixture } from './outbox-fixture.js';
import { outboxMessage, textsOf } from './outbox-message.js';
import { ANY_BYTES, stagger, whileOpen } from './slot-queue-fixture.js';

const PRODUCERS = 12;
const TRANSACTIONS = 15;
const KEYS = 6;

/** Twelve producers whose transactions overlap; per key, the bodies in the order of its lock. */
async function produce(
  outbox: OutboxStore,
  transactions: Transactions,
): Promise<ReadonlyMap<string, readonly string[]>> {
  const taken = new Map<string, string[]>();
  await Promise.all(
    Array.from({ length: PRODUCERS }, async (_, producer) => {
      for (let n = 0; n < TRANSACTIONS; n += 1) {
        const keys = new Set([`k${(producer * 5 + n) % KEYS}`, `k${(producer + n * 3) % KEYS}`]);
        await transactions.run(async (transaction) => {
          const messages = [...keys].map((key) => outboxMessage(key, `${producer}.${n}`));
          await outbox.append(messages, transaction);
          // Still under the locks of the keys: this order is the order of the keys.
          messages.forEach((message) => {
            const order = taken.get(message.key) ?? [];
            taken.set(message.key, order);
            order.push(...textsOf([message]));
          });
          await stagger((producer + n) % 4);
        });
      }
    }),
  );
  return taken;
}

interface Reading {
  readonly rows: readonly QueuedMessage[];
}

/** Reads and removes until `stop`, and then until nothing is left. With floors, by their rule. */
async function drain(
  outbox: OutboxStore,
  stop: Promise<unknown>,
  how: { readonly withFloor: boolean; readonly everyMs: number },
): Promise<Reading> {
  const rows: QueuedMessage[] = [];
  let floor = '0';
  const state = { stopped: false };
  void stop.then(() => (state.stopped = true));
  for (let empty = 0; empty < 3;) {
    const ending = state.stopped;
    const probe = await outbox.probeFloor();
    await stagger(how.everyMs);
    const windows = Array.from({ length: outbox.slots }, (_, slot) => ({ slot, floor }));
    const read = await outbox.read({
      windows,
      inFlight: [],
      perSlot: 1_000,
      limit: 10_000,
      bytes: ANY_BYTES,
    });
    rows.push(...read.rows);
    await outbox.complete(read.rows.map(({ slot, seq }) => ({ slot, seq })));
    // A full read, in a snapshot that all writers up to the probe have ended before.
    if (how.withFloor && BigInt(read.snapshotXmin) > BigInt(probe.xid)) floor = probe.last;
    empty = ending && read.rows.length === 0 ? empty + 1 : 0;
  }
  return { rows };
}

function assertOrder(
  rows: readonly QueuedMessage[],
  taken: ReadonlyMap<string, readonly string[]>,
): void {
  for (const [key, wanted] of taken) {
    const got = textsOf(rows.map((row) => row.message).filter((message) => message.key === key));
    assert.deepEqual(got, wanted, `the messages of ${key}`);
  }
}

export const orderCases: readonly ContractCase<OutboxStoreFixture>[] = [
  {
    name: 'keeps the order of each key among twelve producers that overlap',
    guards:
      'Order per key: numbers drawn before the lock of the key, or a lock let go before the ' +
      'commit, show a later message before an earlier one.',
    async run({ outbox, transactions }) {
      const producing = produce(outbox, transactions);
      // Slow enough that one read shows several messages of a key, in the order of their numbers.
      const { rows } = await drain(outbox, producing, { withFloor: false, everyMs: 8 });
      assertOrder(rows, await producing);
    },
  },
  {
    name: 'loses nothing to a floor, also beside a transaction that stays open for long',
    guards: 'Hole: a floor above a number whose transaction commits later.',
    async run(fixture) {
      const { outbox, newOutbox, transactions } = fixture;
      const other = await newOutbox();
      await whileOpen(queueOf(fixture), [outboxMessage('long', 1)], async (long) => {
        const producing = produce(outbox, transactions);
        const stop = producing.then(async () => {
          await stagger(20);
          await long.commit();
        });
        const { rows } = await drain(other, stop, { withFloor: true, everyMs: 1 });
        await stop;
        assertOrder(rows, await producing);
        assertOrder(rows, new Map([['long', ['long:1']]]));
      });
    },
  },
];
