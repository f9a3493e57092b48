import assert from 'node:assert/strict';
import { systemClock } from '../../clock/index.js';
import { NonRetryableError, SagaRefusal } from '../../errors/index.js';
import { HEADERS } from '../../ports/index.js';
import { freshName, type ContractCase } from '../contract-case.js';
import {
  Consumer,
  freshCommand,
  freshCompensation,
  type HandlerCall,
  type InboxDeliveryFixture,
} from './consumer.js';

function fromNow(ms: number): string {
  return new Date(systemClock.date().getTime() + ms).toISOString();
}

const reserves = async ({ effect }: HandlerCall): Promise<unknown> => {
  await effect('reserved');
  return { reservation: 7 };
};
const releases = async ({ effect, attempt }: HandlerCall): Promise<void> => {
  await effect(`released: ${attempt.applied}`);
};

/** How commands of sagas are carried out, answered and undone. */
export const commandCases: readonly ContractCase<InboxDeliveryFixture>[] = [
  {
    name: 'what the handler of a command returns is its reply, committed with its effects',
    guards:
      'A reply without effects or effects without a reply: the saga and the service disagree.',
    async run(fixture) {
      const consumer = new Consumer(fixture, fixture.store);
      const saga = freshName('saga');
      const command = freshCommand(saga);
      await consumer.receive(command, reserves);
      assert.deepEqual(await consumer.replies(command), [
        {
          topic: 'orders.replies',
          key: saga,
          status: 'ok',
          repliesTo: 'command',
          causationId: command.id,
          idempotencyKey: `${saga}:reserve`,
          body: { reservation: 7 },
        },
      ]);
      const failing = freshCommand();
      await consumer.receive(failing, async (call) => {
        await reserves(call);
        throw new Error('after all');
      });
      assert.deepEqual(await consumer.replies(failing), []);
    },
  },
  {
    name: 'a command repeated under another message id has no effect and is answered with the same reply',
    guards: 'Dropped without a reply, the second attempt of a step would wait for ever.',
    async run(fixture) {
      const consumer = new Consumer(fixture, fixture.store);
      const first = freshCommand();
      const again = freshCommand(first.key);
      await consumer.receive(first, reserves);
      await consumer.receive(again, () => Promise.resolve('something else'));
      assert.deepEqual(await consumer.effects(again), []);
      const replies = await consumer.replies(first);
      assert.deepEqual(
        replies.map(({ status, body, causationId }) => [status, body, causationId]),
        [
          ['ok', { reservation: 7 }, first.id],
          ['ok', { reservation: 7 }, again.id],
        ],
      );
      assert.deepEqual(consumer.outcomes, ['committed', 'repeated']);
    },
  },
  {
    name: 'a refusal rolls back, is answered and is no dead letter',
    guards:
      'A business "no" is an answer: the saga must hear it and nobody has to repair anything.',
    async run(fixture) {
      const consumer = new Consumer(fixture, fixture.store);
      const command = freshCommand();
      const refuses = async ({ effect }: HandlerCall): Promise<void> => {
        await effect();
        throw new SagaRefusal('out_of_stock', { sku: 'a' });
      };
      assert.deepEqual(await consumer.receive(command, refuses), { kind: 'done' });
      assert.deepEqual(await consumer.effects(command), []);
      const [reply, ...others] = await consumer.replies(command);
      assert.equal(others.length, 0);
      assert.equal(reply?.status, 'refused');
      assert.deepEqual(reply.body, { reason: 'out_of_stock', details: { sku: 'a' } });
      await consumer.receive(command, reserves, { delivery: 2 });
      const again = freshCommand(command.key);
      await consumer.receive(again, reserves);
      assert.deepEqual(await consumer.effects(again), [], 'the answer stands');
      assert.deepEqual(consumer.outcomes, ['refused', 'duplicate', 'repeated']);
      assert.deepEqual(
        (await consumer.replies(command)).map(({ status }) => status),
        ['refused', 'refused'],
      );
    },
  },
  {
    name: 'a command that becomes a dead letter answers with a failure',
    guards: 'A command that dies in silence leaves its saga waiting without end.',
    async run(fixture) {
      const consumer = new Consumer(fixture, fixture.store);
      const command = freshCommand();
      await consumer.receive(command, () => Promise.reject(new NonRetryableError('bad sku')));
      const [reply] = await consumer.replies(command);
      assert.equal(reply?.status, 'failed');
      assert.deepEqual(reply.body, {
        reason: 'final',
        details: { error: 'NonRetryableError: bad sku', attempts: 1 },
      });
    },
  },
  {
    name: 'a reply that cannot be encoded makes the command a dead letter, without effects',
    guards: 'The effects would be committed and the saga would never hear of them.',
    async run(fixture) {
      const consumer = new Consumer(fixture, fixture.store);
      const command = freshCommand();
      await consumer.receive(command, async ({ effect }) => {
        await effect();
        return { amount: 1n };
      });
      assert.deepEqual(await consumer.effects(command), []);
      assert.equal((await consumer.replies(command))[0]?.status, 'failed');
      assert.deepEqual(consumer.outcomes, ['buried']);
    },
  },
  {
    name: 'a reply that no message can hold makes the command a dead letter, without effects',
    guards: 'The outbox would carry it to a relay that runs out of memory, and no reply arrives.',
    async run(fixture) {
      const consumer = new Consumer(fixture, fixture.store);
      const large = 'x'.repeat(17 * 1_024 * 1_024);
      const [command, refused] = [freshCommand(), freshCommand()];
      await consumer.receive(command, async ({ effect }) => {
        await effect();
        return { large };
      });
      assert.deepEqual(await consumer.effects(command), []);
      assert.equal((await consumer.replies(command))[0]?.status, 'failed');
      await consumer.receive(refused, () =>
        Promise.reject(new SagaRefusal('out_of_stock', { large })),
      );
      const [reply] = await consumer.replies(refused);
      // Only the beginning of its details is kept; a refusal counts as one however long it is.
      assert.ok(JSON.stringify(reply?.body).length < 100_000);
      assert.equal(Reflect.get(Object(reply?.body) as object, 'reason'), 'out_of_stock');
      assert.deepEqual(consumer.outcomes, ['buried', 'refused']);
    },
  },
  {
    name: 'a command that comes after its undo is acknowledged and does nothing',
    guards: 'A late command must never outlive its compensation.',
    async run(fixture) {
      const consumer = new Consumer(fixture, fixture.store);
      const saga = freshName('saga');
      const [compensation, command] = [freshCompensation(saga), freshCommand(saga)];
      await consumer.receive(compensation, releases);
      assert.deepEqual(await consumer.receive(command, reserves), { kind: 'done' });
      assert.deepEqual(await consumer.effects(compensation), ['released: unknown']);
      assert.deepEqual(await consumer.effects(command), []);
      assert.deepEqual(consumer.outcomes, ['committed', 'late']);
      assert.deepEqual(
        (await consumer.replies(command)).map(({ repliesTo, status }) => [repliesTo, status]),
        [['compensation', 'ok']],
      );
    },
  },
  {
    name: 'a compensation always runs its handler, and is told what is known',
    guards:
      'A command that had effects outside and then failed left no row: without the handler they stay.',
    async run(fixture) {
      const consumer = new Consumer(fixture, fixture.store);
      const saga = freshName('saga');
      await consumer.receive(freshCommand(saga), reserves);
      const [first, second] = [freshCompensation(saga), freshCompensation(saga)];
      await consumer.receive(first, releases);
      await consumer.receive(second, releases);
      assert.deepEqual(await consumer.effects(first), ['released: applied']);
      assert.deepEqual(await consumer.effects(second), ['released: applied']);
      const failed = freshName('saga');
      await consumer.receive(freshCommand(failed), () => Promise.reject(new Error('after charge')));
      const undo = freshCompensation(failed);
      await consumer.receive(undo, releases);
      assert.deepEqual(await consumer.effects(undo), ['released: unknown']);
    },
  },
  {
    name: 'a compensation that fails has undone nothing and is tried again',
    guards: 'A mark that outlives its failed compensation says undone where nothing was undone.',
    async run(fixture) {
      const consumer = new Consumer(fixture, fixture.store);
      const saga = freshName('saga');
      const compensation = freshCompensation(saga);
      const outcome = await consumer.receive(compensation, () => Promise.reject(new Error('no')));
      assert.equal(outcome.kind, 'retry');
      const command = freshCommand(saga);
      await consumer.receive(command, reserves);
      assert.deepEqual(await consumer.effects(command), ['reserved']);
      await consumer.receive(compensation, releases, { delivery: 2 });
      assert.deepEqual(await consumer.effects(compensation), ['released: applied']);
    },
  },
  {
    name: 'a refused compensation answers, and still keeps its command from coming late',
    guards: 'The saga has given the step up; the command must not be carried out behind its back.',
    async run(fixture) {
      const consumer = new Consumer(fixture, fixture.store);
      const saga = freshName('saga');
      const compensation = freshCompensation(saga);
      await consumer.receive(compensation, () => Promise.reject(new SagaRefusal('too_late')));
      const command = freshCommand(saga);
      await consumer.receive(command, reserves);
      assert.deepEqual(await consumer.effects(command), []);
      assert.deepEqual(consumer.outcomes, ['refused', 'late']);
    },
  },
  {
    name: 'a step that runs again after its undo has a generation, and is carried out',
    guards: 'An operator retries an undone saga: the step must not meet its own mark.',
    async run(fixture) {
      const consumer = new Consumer(fixture, fixture.store);
      const saga = freshName('saga');
      await consumer.receive(freshCommand(saga), reserves);
      await consumer.receive(freshCompensation(saga), releases);
      const again = freshCommand(saga, { [HEADERS.idempotencyKey]: `${saga}:reserve#1` });
      await consumer.receive(again, reserves);
      assert.deepEqual(await consumer.effects(again), ['reserved']);
    },
  },
  {
    name: 'an expired command is not carried out, and answered with a failure',
    guards: 'A command replayed after its mark was forgotten would carry out an undone step.',
    async run(fixture) {
      const consumer = new Consumer(fixture, fixture.store);
      const past = { [HEADERS.expiresAt]: fromNow(-60_000) };
      const command = freshCommand(freshName('saga'), past);
      assert.deepEqual(await consumer.receive(command, reserves), { kind: 'done' });
      assert.deepEqual(await consumer.receive(command, reserves), { kind: 'done' });
      assert.deepEqual(await consumer.effects(command), []);
      assert.deepEqual(consumer.outcomes, ['expired', 'duplicate']);
      const replies = await consumer.replies(command);
      assert.deepEqual(
        replies.map(({ status, body }) => [status, body]),
        [['failed', { reason: 'expired' }]],
        'answered once',
      );
      const later = freshCommand(command.key, {
        [HEADERS.expiresAt]: fromNow(600_000),
      });
      await consumer.receive(later, reserves);
      assert.deepEqual(await consumer.effects(later), ['reserved'], 'a new attempt may come');
    },
  },
  {
    name: 'an expired command whose step was carried out is answered with the kept reply',
    guards: 'Answered with a failure, the saga would undo what it was told is not there.',
    async run(fixture) {
      const consumer = new Consumer(fixture, fixture.store);
      const saga = freshName('saga');
      await consumer.receive(freshCommand(saga), reserves);
      const past = { [HEADERS.expiresAt]: fromNow(-60_000) };
      const again = freshCommand(saga, past);
      await consumer.receive(again, reserves);
      assert.deepEqual(consumer.outcomes, ['committed', 'repeated']);
      assert.equal((await consumer.replies(again)).at(-1)?.status, 'ok');
    },
  },
  {
    name: 'a command that failed is not put off beyond its expiry',
    guards: 'Its compensation waits behind it for hours, to undo what will not be done any more.',
    async run(fixture) {
      // Delays double from a second on: the third would be four.
      const consumer = new Consumer(fixture, fixture.store, { attempts: 5 });
      const expiry = { [HEADERS.expiresAt]: fromNow(3_000) };
      const command = freshCommand(freshName('saga'), expiry);
      const fails = (): Promise<never> => Promise.reject(new Error('not yet'));
      const delays: number[] = [];
      for (let i = 0; i < 3; i += 1) {
        const outcome = await consumer.receive(command, fails);
        if (outcome.kind === 'retry') delays.push(outcome.delayMs);
      }
      assert.deepEqual(delays.slice(0, 1), [1_000]);
      assert.ok((delays[2] ?? Infinity) <= 3_001, `put off for ${delays.join(', ')} ms`);
    },
  },
  {
    name: 'a compensation does not expire',
    guards: 'An undo is due however late it is.',
    async run(fixture) {
      const consumer = new Consumer(fixture, fixture.store);
      const saga = freshName('saga');
      const compensation = freshCommand(saga, {
        [HEADERS.role]: 'compensation',
        [HEADERS.expiresAt]: '2020-01-01T00:00:00.000Z',
      });
      await consumer.receive(compensation, releases);
      assert.deepEqual(await consumer.effects(compensation), ['released: unknown']);
    },
  },
  {
    name: 'a command without an idempotency key, or with an expiry that is no instant, is a dead letter',
    guards: 'Carried out without its key, a command can neither be repeated nor undone.',
    async run(fixture) {
      const consumer = new Consumer(fixture, fixture.store);
      const keyless = freshCommand(freshName('saga'), { [HEADERS.idempotencyKey]: '' });
      const dateless = freshCommand(freshName('saga'), { [HEADERS.expiresAt]: 'tomorrow' });
      await consumer.receive(keyless, reserves);
      await consumer.receive(dateless, reserves);
      assert.deepEqual(consumer.outcomes, ['buried', 'buried']);
      const letters = await fixture.store.inbox.listDeadLetters({ group: consumer.group });
      assert.deepEqual(
        letters.map(({ reason }) => reason),
        ['malformed', 'malformed'],
      );
      assert.equal((await consumer.replies(dateless))[0]?.status, 'failed');
    },
  },
];
