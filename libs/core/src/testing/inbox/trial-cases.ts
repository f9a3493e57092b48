import assert from 'node:assert/strict';
import { NonRetryableError, SagaRefusal } from '../../errors/index.js';
import { inboxKeyOf } from '../../messaging/index.js';
import type { Delivery, Message } from '../../ports/index.js';
import type { ContractCase } from '../contract-case.js';
import { Consumer, freshCommand, freshEvent, type InboxDeliveryFixture } from './consumer.js';

/** Delivers a message in a trial, and returns what was told about the handler. */
async function tried(
  consumer: Consumer,
  message: Message,
  handle: () => Promise<unknown>,
  more: { readonly counts: boolean; readonly attempt?: number },
): Promise<readonly string[]> {
  const told: string[] = [];
  const { counts, attempt = 1 } = more;
  const { signal } = new AbortController();
  const trial = { counts, ended: (how: string) => void told.push(how) };
  const delivery: Delivery = { message, group: consumer.group, attempt, signal, trial };
  await consumer.deliver(delivery, handle);
  return told;
}

const works = (): Promise<void> => Promise.resolve();
const fails = (): Promise<never> => Promise.reject(new Error('no'));

/** Trials that tell whether the handlers of a group work at all. */
export const trialCases: readonly ContractCase<InboxDeliveryFixture>[] = [
  {
    name: 'a failure in a trial that does not count uses up no attempt, however often',
    guards:
      'The messages that are tried while everything fails would become dead letters in masses.',
    async run(fixture) {
      const consumer = new Consumer(fixture, fixture.store, { attempts: 2 });
      const message = freshEvent();
      for (let attempt = 1; attempt <= 5; attempt += 1) {
        assert.deepEqual(await tried(consumer, message, fails, { counts: false, attempt }), [
          'failed',
        ]);
      }
      const key = inboxKeyOf(consumer.group, message);
      assert.equal((await fixture.store.inbox.readAttempts(key)).failures, 0);
      assert.deepEqual(consumer.outcomes, Array(5).fill('retry'));
      assert.deepEqual(await tried(consumer, message, fails, { counts: true, attempt: 6 }), [
        'failed',
      ]);
      assert.equal((await fixture.store.inbox.readAttempts(key)).failures, 1);
      assert.deepEqual(await tried(consumer, message, works, { counts: false, attempt: 7 }), [
        'worked',
      ]);
      assert.equal(consumer.outcomes.at(-1), 'committed');
    },
  },
  {
    name: 'a trial tells of an answer or a failure of the handler, and of nothing else',
    guards:
      'Duplicates would close the breaker while everything fails, or open it while nothing does.',
    async run(fixture) {
      const consumer = new Consumer(fixture, fixture.store);
      const counts = { counts: true };
      const event = freshEvent();
      assert.deepEqual(await tried(consumer, event, works, counts), ['worked']);
      assert.deepEqual(await tried(consumer, event, works, counts), [], 'a duplicate');
      const refuses = (): Promise<never> => Promise.reject(new SagaRefusal('not today'));
      assert.deepEqual(await tried(consumer, freshCommand(), refuses, counts), ['worked']);
      const never = (): Promise<never> => Promise.reject(new NonRetryableError('never'));
      assert.deepEqual(await tried(consumer, freshEvent(), never, counts), ['failed']);
      const malformed = freshCommand('saga', { 'sagaz-idempotency-key': '' });
      assert.deepEqual(
        await tried(consumer, malformed, works, counts),
        [],
        'no handler was reached',
      );
    },
  },
];
