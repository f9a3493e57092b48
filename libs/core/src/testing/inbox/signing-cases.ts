import assert from 'node:assert/strict';
import { MessageSigning } from '../../messaging/index.js';
import { HEADERS, type Message } from '../../ports/index.js';
import type { ContractCase } from '../contract-case.js';
import {
  Consumer,
  freshCommand,
  freshEvent,
  type HandlerCall,
  type InboxDeliveryFixture,
} from './consumer.js';
import { replayAll } from './landed-work.js';

const works = ({ effect }: HandlerCall): Promise<void> => effect();
const KNOWN = 'a key that both of the services have';
const OTHER = 'a key that only the other service has';
const signing = new MessageSigning({ keys: [KNOWN] });
const other = new MessageSigning({ keys: [OTHER] });
const forgery = (true_: Message): Message => ({
  ...signing.sign(true_),
  payload: new TextEncoder().encode('{"sku":"forged"}'),
});

const replay = (consumer: Consumer): Promise<void> => replayAll(consumer, works);

/** Messages where they have to be signed. */
export const signingCases: readonly ContractCase<InboxDeliveryFixture>[] = [
  {
    name: 'a message that is not signed as it should be is a dead letter at once, without an effect or a reply',
    guards: 'Whoever may write to a topic would have commands carried out in the name of others.',
    async run(fixture) {
      for (const [forge, reason] of [
        [(message: Message) => message, 'unsigned'],
        [other.sign.bind(other), 'bad_signature'],
        [forgery, 'bad_signature'],
      ] as const) {
        const consumer = new Consumer(fixture, fixture.store, { signing });
        const message = forge(freshCommand());
        assert.deepEqual(await consumer.receive(message, works), { kind: 'done' });
        await consumer.receive(message, works, { delivery: 2 });
        assert.deepEqual(consumer.outcomes, ['buried', 'duplicate']);
        assert.deepEqual(await consumer.effects(message), []);
        assert.deepEqual(await consumer.replies(message), []);
        const [letter, ...rest] = await fixture.store.inbox.listDeadLetters({
          group: consumer.group,
        });
        assert.ok(letter !== undefined && rest.length === 0);
        assert.equal(letter.reason, reason);
        assert.equal(letter.message.id, message.id);
        await replay(consumer);
        assert.deepEqual(await consumer.effects(message), []);
        const again = await fixture.store.inbox.listDeadLetters({ group: consumer.group });
        assert.deepEqual(
          again.map((one) => one.reason),
          [reason],
        );
      }
    },
  },
  {
    name: 'a message that is signed is handled, once, though a forged one of its id came before it',
    guards: 'A forgery that takes the place of the true message in the inbox keeps it out.',
    async run(fixture) {
      const consumer = new Consumer(fixture, fixture.store, { signing });
      const message = freshCommand();
      await consumer.receive(message, works);
      await consumer.receive(forgery(message), works);
      await consumer.receive(signing.sign(message), works);
      await consumer.receive(signing.sign(message), works, { delivery: 2 });
      assert.deepEqual(consumer.outcomes, ['buried', 'buried', 'committed', 'duplicate']);
      assert.deepEqual(await consumer.effects(message), ['done']);
      await replay(consumer);
      assert.deepEqual(await consumer.effects(message), ['done']);
    },
  },
  {
    name: 'a sender cannot choose under which name its message is remembered',
    guards: 'With the mark of another forged message it would be dropped as a duplicate, unseen.',
    async run(fixture) {
      const consumer = new Consumer(fixture, fixture.store, { signing });
      const message = freshEvent();
      await consumer.receive(
        { ...message, headers: { ...message.headers, [HEADERS.untrusted]: 'x' } },
        works,
      );
      const genuine = signing.sign(message);
      const headers = { ...genuine.headers, [HEADERS.untrusted]: 'x' };
      await consumer.receive({ ...genuine, headers }, works);
      await consumer.receive(genuine, works);
      assert.deepEqual(consumer.outcomes, ['buried', 'committed', 'duplicate']);
    },
  },
  {
    name: 'a dead letter whose key is known by now is handled by its replay, under its own id',
    guards: 'A message that was signed with a key which came late would be lost, or handled twice.',
    async run(fixture) {
      for (const event of [freshEvent(), freshCommand()]) {
        const message = other.sign(event);
        const before = new Consumer(fixture, fixture.store, { signing });
        await before.receive(message, works);
        const { group } = before;
        const both = new MessageSigning({ keys: [KNOWN, OTHER] });
        const after = new Consumer(fixture, fixture.store, { group, signing: both });
        await replay(after);
        assert.deepEqual(await after.effects(message), ['done']);
        assert.deepEqual(await fixture.store.inbox.listDeadLetters({ group }), []);
        await after.receive(message, works, { delivery: 2 });
        assert.deepEqual(await after.effects(message), ['done']);
        if (event.headers[HEADERS.role] === undefined) continue;
        assert.deepEqual(
          (await after.replies(message)).map((reply) => reply.causationId),
          [message.id],
        );
      }
    },
  },
  {
    name: 'a replay of such a letter that fails leaves one letter, that of the message itself',
    guards: 'The letter of the refusal would be replayed for ever.',
    async run(fixture) {
      const message = other.sign(freshEvent());
      const before = new Consumer(fixture, fixture.store, { signing });
      await before.receive(message, works);
      const { group } = before;
      const after = new Consumer(fixture, fixture.store, { group, signing: other, attempts: 1 });
      await replayAll(after, () => Promise.reject(new Error('no')));
      const letters = await fixture.store.inbox.listDeadLetters({ group });
      assert.deepEqual(
        letters.map(({ reason }) => reason),
        ['exhausted'],
      );
    },
  },
];
