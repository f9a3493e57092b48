import assert from 'node:assert/strict';
import type { Message, OutboxMessage } from '../../ports/index.js';
import type { ContractCase } from '../contract-case.js';
import { queueOf, type OutboxStoreFixture } from './outbox-fixture.js';
import { outboxMessage, textsOf } from './outbox-message.js';
import { bodiesOf, readAll, whileOpen } from './slot-queue-fixture.js';

function carried({ ordered: _ordered, delayMs: _delayMs, ...message }: OutboxMessage): Message {
  return message;
}

/** The message as plain values: a payload may come back as any kind of bytes. */
function plain(message: Message): unknown {
  return { ...message, payload: [...message.payload], headers: { ...message.headers } };
}

const EVERY_BYTE = Uint8Array.from({ length: 256 }, (_, byte) => byte);

export const appendCases: readonly ContractCase<OutboxStoreFixture>[] = [
  {
    name: 'keeps nothing of a transaction that was rolled back',
    guards: 'A message is published if and only if its transaction commits.',
    async run({ outbox, transactions }) {
      const failure = new Error('no');
      await assert.rejects(
        transactions.run(async (transaction) => {
          await outbox.append([outboxMessage('k', 1)], transaction);
          throw failure;
        }),
        failure,
      );
      assert.deepEqual(await readAll(outbox), []);
      assert.equal((await outbox.stats()).byStatus.get('pending') ?? 0, 0);
    },
  },
  {
    name: 'shows nothing before the commit and everything after it',
    guards: 'A message must never be published whose transaction may still roll back.',
    async run(fixture) {
      const messages = [outboxMessage('k', 1), outboxMessage('k', 2)];
      await whileOpen(queueOf(fixture), messages, async () => {
        assert.deepEqual(await readAll(fixture.outbox), []);
      });
      assert.deepEqual(bodiesOf(await readAll(fixture.outbox)), ['k:1', 'k:2']);
    },
  },
  {
    name: 'writes in a transaction of its own where none is given, and nothing where there is nothing',
    guards: 'Standalone publishing.',
    async run({ outbox }) {
      await outbox.append([]);
      await outbox.append([outboxMessage('k', 1)]);
      assert.deepEqual(bodiesOf(await readAll(outbox)), ['k:1']);
    },
  },
  {
    name: 'gives back every field as it was written',
    guards: 'What the consumer reads is, byte for byte, what the producer wrote.',
    async run({ outbox }) {
      const strange = `it's "quoted" \\ $1 %s {} \n\t – ünïcødé 漢字 🦉 'null'`;
      const messages = [
        outboxMessage('plain', 1),
        outboxMessage(strange, 1, {
          tenant: strange,
          topic: strange,
          type: strange,
          source: strange,
          time: '2026-11-21T04:05:06.789Z',
          contentType: strange,
          headers: { traceparent: '00-a-b-01', empty: '', [strange]: strange },
        }),
        outboxMessage('', 1, { payload: new Uint8Array(0), tenant: '', headers: {} }),
        outboxMessage('bytes', 1, {
          payload: EVERY_BYTE,
          contentType: 'application/octet-stream',
        }),
        outboxMessage('big', 1, { payload: new Uint8Array(1024 * 1024).fill(0x7f) }),
        outboxMessage('null', 1, { headers: { __proto__x: 'null', constructor: 'undefined' } }),
      ];
      await outbox.append(messages);
      const rows = await readAll(outbox);
      assert.equal(rows.length, messages.length);
      const byId = new Map(rows.map((row) => [row.message.id, row]));
      for (const message of messages) {
        const row = byId.get(message.id);
        assert.ok(row, `${message.key} is missing`);
        assert.deepEqual(plain(row.message), plain(carried(message)));
        assert.equal(row.attempts, 0);
        assert.equal(row.ordered, true);
      }
    },
  },
  {
    name: 'does not look at bytes of the caller after the append',
    guards: 'A buffer that is used again must not change a message that was written.',
    async run({ outbox, transactions }) {
      const payload = new TextEncoder().encode('k:1');
      await transactions.run(async (transaction) => {
        await outbox.append([outboxMessage('k', 1, { payload })], transaction);
        payload.fill(0x78);
      });
      assert.deepEqual(bodiesOf(await readAll(outbox)), ['k:1']);
    },
  },
  {
    name: 'keeps the order of a thousand messages of one append',
    guards: 'Order per key within one transaction.',
    async run({ outbox }) {
      const messages = Array.from({ length: 1_000 }, (_, n) => outboxMessage(`k${n % 3}`, n));
      await outbox.append(messages);
      const rows = await readAll(outbox);
      for (const key of ['k0', 'k1', 'k2']) {
        const wanted = textsOf(messages.filter((message) => message.key === key));
        assert.deepEqual(bodiesOf(rows, key), wanted);
      }
    },
  },
  {
    name: 'refuses a key that no index could hold, before anything is written',
    guards: 'A message that could not be set aside when it fails would be tried for ever.',
    async run({ outbox, transactions }) {
      // 2,000 bytes with the topic, of a character that has two.
      const longest = 'ä'.repeat(997);
      await outbox.append([outboxMessage(longest, 1)]);
      const messages = [outboxMessage('k', 1), outboxMessage(`${longest}k`, 1)];
      const tooLong = { code: 'SAGAZ_KEY_TOO_LONG', bytes: 2_001 };
      await assert.rejects(outbox.append(messages), tooLong);
      await transactions.run((transaction) =>
        assert.rejects(outbox.appendAtCommit(messages, transaction), tooLong),
      );
      assert.deepEqual(bodiesOf(await readAll(outbox)), [`${longest}:1`]);
    },
  },
  {
    name: 'keeps the order of several appends in one transaction',
    guards: 'Order per key within one transaction.',
    async run({ outbox, transactions }) {
      await transactions.run(async (transaction) => {
        for (let n = 0; n < 5; n += 1) {
          await outbox.append([outboxMessage('k', n)], transaction);
        }
      });
      assert.deepEqual(bodiesOf(await readAll(outbox)), ['k:0', 'k:1', 'k:2', 'k:3', 'k:4']);
    },
  },
  {
    name: 'writes what is given for the commit in its order, and drops it at a rollback',
    guards: 'Messages that wait for COMMIT commit with it, or not at all.',
    async run({ outbox, transactions }) {
      const failure = new Error('no');
      for (const fails of [true, false]) {
        const ending = transactions.run(async (transaction) => {
          await outbox.append([outboxMessage('now', 1)], transaction);
          await outbox.appendAtCommit([], transaction);
          await outbox.appendAtCommit([outboxMessage('k', 1), outboxMessage('k', 2)], transaction);
          await outbox.append([outboxMessage('now', 2)], transaction);
          await outbox.appendAtCommit([outboxMessage('k', 3)], transaction);
          if (fails) throw failure;
        });
        if (fails) await assert.rejects(ending, failure);
        else await ending;
        const rows = await readAll(outbox);
        assert.deepEqual(bodiesOf(rows, 'now'), fails ? [] : ['now:1', 'now:2']);
        assert.deepEqual(bodiesOf(rows, 'k'), fails ? [] : ['k:1', 'k:2', 'k:3']);
      }
    },
  },
];
