import assert from 'node:assert/strict';
import type { ContractCase } from '../contract-case.js';
import { Consumer, freshEvent, type HandlerCall, type InboxDeliveryFixture } from './consumer.js';

const works = ({ effect }: HandlerCall): Promise<void> => effect();
const fails = async ({ effect }: HandlerCall): Promise<void> => {
  await effect();
  throw new Error('no');
};

/** The code around a handler (guards, filters, interceptors, observers), which must decide nothing. */
export const pipelineCases: readonly ContractCase<InboxDeliveryFixture>[] = [
  {
    name: 'a message whose guard said no is a dead letter at once',
    guards: 'A message nobody may handle would come back for ever.',
    async run(fixture) {
      const consumer = new Consumer(fixture, fixture.store);
      const outcome = await consumer.receive(freshEvent(), works, {
        pipeline: () => Promise.reject(new Error('Forbidden resource')),
      });
      assert.deepEqual(outcome, { kind: 'done' });
      const [letter] = await fixture.store.inbox.listDeadLetters({ group: consumer.group });
      assert.equal(letter?.reason, 'rejected');
    },
  },
  {
    name: 'what something answered without calling the handler is never acknowledged',
    guards: 'A cache in front of the handler would swallow messages.',
    async run(fixture) {
      const consumer = new Consumer(fixture, fixture.store);
      const outcome = await consumer.receive(freshEvent(), works, {
        pipeline: () => Promise.resolve('from the cache'),
      });
      assert.ok(outcome.kind === 'retry' && /answered in its place/.test(String(outcome.error)));
    },
  },
  {
    name: 'what a filter makes of an error decides nothing',
    guards: 'A filter that swallows an error would acknowledge a message that was rolled back.',
    async run(fixture) {
      const consumer = new Consumer(fixture, fixture.store);
      const swallowed = await consumer.receive(freshEvent(), fails, {
        pipeline: (_, call) => call().catch(() => 'all is well'),
      });
      assert.equal(swallowed.kind, 'retry');
      const message = freshEvent();
      const disturbed = await consumer.receive(message, works, {
        pipeline: async (_, call) => {
          await call();
          throw new Error('an interceptor failed after the commit');
        },
      });
      assert.deepEqual(disturbed, { kind: 'done' });
      assert.deepEqual(await consumer.effects(message), ['done']);
    },
  },
  {
    name: 'an outer timeout does not settle a message whose transaction is still open',
    guards: 'Buried by the timeout, the message would be committed a moment later: dead and done.',
    async run(fixture) {
      const consumer = new Consumer(fixture, fixture.store);
      const message = freshEvent();
      const outcome = await consumer.receive(message, works, {
        pipeline: (_, call) => {
          void call();
          return Promise.reject(new Error('timeout'));
        },
      });
      assert.deepEqual(outcome, { kind: 'done' });
      assert.deepEqual(consumer.outcomes, ['committed']);
    },
  },
  {
    name: 'an observer that throws disturbs nothing',
    guards: 'A broken metric must not turn a handled message into a failure.',
    async run(fixture) {
      const consumer = new Consumer(fixture, fixture.store, {
        observer: {
          ended: () => {
            throw new Error('no such metric');
          },
        },
      });
      assert.deepEqual(await consumer.receive(freshEvent(), works), { kind: 'done' });
    },
  },
];
