import assert from 'node:assert/strict';
import type { OutboxMessage } from '../../ports/index.js';
import type { ContractCase } from '../contract-case.js';
import { queueOf, type OutboxStoreFixture } from './outbox-fixture.js';
import { outboxMessage } from './outbox-message.js';
import { bodiesOf, deferred, readAll, stagger, whileOpen } from './slot-queue-fixture.js';

type Append = (key: string, who: string) => readonly OutboxMessage[];

const named = (count: number, who: string): readonly OutboxMessage[] =>
  Array.from({ length: count }, (_, n) => outboxMessage(`key ${n} of the ${who}`, who));

/** The other writes that a transaction may make beside the message of a key: each may have its own statement. */
const APPENDS: ReadonlyMap<string, Append> = new Map<string, Append>([
  ['one message', (key, who) => [outboxMessage(key, who)]],
  ['several messages', (key, who) => [...named(2, who), outboxMessage(key, who)]],
  // So many that their locks could be taken in another way than one by one.
  ['messages of very many keys', (key, who) => [...named(150, who), outboxMessage(key, who)]],
]);

/** Two transactions append to one key; the first, whose number is lower, commits later. */
async function secondWaits(
  fixture: OutboxStoreFixture,
  key: string,
  first: Append,
  second: Append,
  what: string,
): Promise<void> {
  const { outbox, transactions } = fixture;
  await whileOpen(queueOf(fixture), first(key, 'first'), async (open) => {
    const begun = deferred();
    let hasWritten = false;
    const writing = transactions.run(async (transaction) => {
      begun.resolve();
      await outbox.append(second(key, 'second'), transaction);
      hasWritten = true;
    });
    try {
      await Promise.race([begun.promise, writing]);
      // These wait for nothing, have as much to write, begin after it and end before it.
      for (let n = 0; n < 2; n += 1) {
        const free = second('free', 'others').map((one) => ({ ...one, ordered: false }));
        await outbox.append(free);
      }
      assert.equal(hasWritten, false, `${what}: it did not wait for the end of the first`);
      assert.deepEqual(bodiesOf(await readAll(outbox), key), []);
      await open.add([outboxMessage(key, 'first again')]);
    } finally {
      await Promise.allSettled([open.commit(), writing]);
    }
    await writing;
  });
  assert.deepEqual(
    bodiesOf(await readAll(outbox), key),
    ['first', 'first again', 'second'].map((who) => `${key}:${who}`),
    `${what}: its number was drawn before it had the key`,
  );
}

export const keyCases: readonly ContractCase<OutboxStoreFixture>[] = [
  {
    name: 'makes a transaction wait for the end of an earlier one of its key, whatever the two write',
    guards:
      'Order per key: where a later message is committed while an earlier one is not, it is ' +
      'published first.',
    async run(fixture) {
      for (const [whatFirst, first] of APPENDS) {
        for (const [whatSecond, second] of APPENDS) {
          const what = `${whatSecond} after ${whatFirst}`;
          await secondWaits(fixture, what, first, second, what);
        }
      }
    },
  },
  {
    name: 'lets a second writer of a key wait for the first, and none of another key',
    guards: 'Without the wait a later message of the key could be seen before an earlier one.',
    async run(fixture) {
      const { outbox } = fixture;
      await whileOpen(queueOf(fixture), [outboxMessage('k', 1)], async (open) => {
        let second = false;
        const waiting = outbox.append([outboxMessage('k', 2)]).then(() => (second = true));
        await outbox.append([outboxMessage('other', 1)]);
        await outbox.append([outboxMessage('k', 1, { tenant: 'someone else' })]);
        await outbox.append([outboxMessage('k', 1, { topic: 'elsewhere' })]);
        assert.equal(second, false, 'the second writer did not wait for the end of the first');
        await open.commit();
        await waiting;
      });
      const rows = (await readAll(outbox)).filter(
        ({ message }) => message.topic === 'orders' && message.tenant === '',
      );
      assert.deepEqual(bodiesOf(rows, 'k'), ['k:1', 'k:2']);
    },
  },
  {
    name: 'takes no lock for what needs no order',
    guards: 'A hot key must have a way out.',
    async run(fixture) {
      const { outbox } = fixture;
      await whileOpen(queueOf(fixture), [outboxMessage('k', 1)], async () => {
        await outbox.append([outboxMessage('k', 2, { ordered: false })]);
        const [row] = await readAll(outbox);
        assert.equal(row?.ordered, false);
      });
    },
  },
  {
    name: 'never deadlocks writers that name the same keys in opposite order',
    guards: 'Key locks are taken once, in one global order.',
    async run({ outbox }) {
      const keys = ['a', 'b', 'c', 'd', 'e', 'f'];
      await Promise.all(
        Array.from({ length: 24 }, async (_, n) => {
          const order = n % 2 === 0 ? keys : [...keys].reverse();
          await stagger(n % 3);
          await outbox.append(order.map((key) => outboxMessage(key, n)));
        }),
      );
      assert.equal((await readAll(outbox)).length, 24 * keys.length);
    },
  },
];
