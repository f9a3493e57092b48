import assert from 'node:assert/strict';
import { systemClock } from '../../clock/index.js';
import { CommitUnknownError, NonRetryableError } from '../../errors/index.js';
import { SubscriptionClosedError, type InboxUnit } from '../../messaging/index.js';
import type { ContractCase } from '../contract-case.js';
import { Gate } from '../gates.js';
import { Consumer, freshEvent, type HandlerCall, type InboxDeliveryFixture } from './consumer.js';
import { SHORT_MS, WAIT_MS, freshKey, openTransaction } from './inbox-fixture.js';

const works = ({ effect }: HandlerCall): Promise<void> => effect();
function fails(error: unknown) {
  return async ({ effect }: HandlerCall): Promise<void> => {
    await effect();
    throw error;
  };
}

/** How deliveries of a message end. */
export const deliveryCases: readonly ContractCase<InboxDeliveryFixture>[] = [
  {
    name: 'a handled message is acknowledged, and its redelivery has no effect',
    guards: 'Handler effects exactly once per group, source and message id.',
    async run(fixture) {
      const consumer = new Consumer(fixture, fixture.store);
      const message = freshEvent();
      assert.deepEqual(await consumer.receive(message, works), { kind: 'done' });
      assert.deepEqual(await consumer.receive(message, works, { delivery: 2 }), { kind: 'done' });
      assert.deepEqual(await consumer.effects(message), ['done']);
      assert.deepEqual(consumer.outcomes, ['committed', 'duplicate']);
    },
  },
  {
    name: 'a handler that throws leaves nothing, and its message is delivered again',
    guards: 'The message of a failing handler must neither be lost nor half done.',
    async run(fixture) {
      const consumer = new Consumer(fixture, fixture.store);
      const message = freshEvent();
      const outcome = await consumer.receive(message, fails(new Error('no')));
      assert.ok(outcome.kind === 'retry' && outcome.delayMs === 1_000);
      assert.deepEqual(await consumer.effects(message), []);
      const later = await consumer.receive(message, fails(new Error('no')), { delivery: 2 });
      assert.ok(later.kind === 'retry' && later.delayMs === 2_000, 'delays grow');
      assert.deepEqual(await consumer.receive(message, works, { delivery: 3 }), { kind: 'done' });
      assert.deepEqual(await consumer.effects(message), ['done']);
      assert.deepEqual(consumer.outcomes, ['retry', 'retry', 'committed']);
    },
  },
  {
    name: 'a message whose attempts are used up is a dead letter, and its trailing duplicate is dropped',
    guards: 'What cannot be handled is parked where it is counted, and not executed out of order.',
    async run(fixture) {
      const consumer = new Consumer(fixture, fixture.store, { attempts: 2 });
      const message = freshEvent();
      await consumer.receive(message, fails(new Error('first')));
      const last = await consumer.receive(message, fails(new Error('last')), { delivery: 2 });
      assert.deepEqual(last, { kind: 'done' });
      assert.deepEqual(await consumer.receive(message, works), { kind: 'done' });
      assert.deepEqual(await consumer.effects(message), []);
      assert.deepEqual(consumer.outcomes, ['retry', 'buried', 'duplicate']);
      const [letter] = await fixture.store.inbox.listDeadLetters({ group: consumer.group });
      assert.equal(letter?.reason, 'exhausted');
      assert.equal(letter.attempts, 2);
      assert.equal(letter.error, 'Error: last');
    },
  },
  {
    name: 'attempts are counted across processes',
    guards: 'A count in memory would give a message all its attempts again after every restart.',
    async run(fixture) {
      const first = new Consumer(fixture, fixture.store, { attempts: 2 });
      const second = new Consumer(fixture, await fixture.newStore(), {
        attempts: 2,
        group: first.group,
      });
      const message = freshEvent();
      await first.receive(message, fails(new Error('no')));
      await second.receive(message, fails(new Error('no')), { delivery: 2 });
      assert.deepEqual(second.outcomes, ['buried']);
    },
  },
  {
    name: 'what can never succeed is a dead letter at once',
    guards: 'A malformed message would burn all its attempts and hold back its key meanwhile.',
    async run(fixture) {
      const tooMany = Object.assign(new Error('slow down'), { status: 429 });
      const badRequest = Object.assign(new Error('bad request'), { status: 400 });
      const consumer = new Consumer(fixture, fixture.store);
      for (const error of [new NonRetryableError('never'), badRequest, tooMany]) {
        await consumer.receive(freshEvent(), fails(error));
      }
      assert.deepEqual(consumer.outcomes, ['buried', 'buried', 'retry']);
    },
  },
  {
    name: 'a transaction that was rolled back in silence is a failure and no acknowledgement',
    guards:
      'A handler swallowed an error of the database: acknowledged, the message would be gone with its effects.',
    async run(fixture) {
      const { store } = fixture;
      const held = freshKey();
      const other = await fixture.newStore();
      const consumer = new Consumer(fixture, store);
      const message = freshEvent();
      const holder = await openTransaction(other.transactions);
      await other.inbox.claim(held, holder.transaction, WAIT_MS);
      const outcome = await consumer.receive(message, async ({ effect, transaction }) => {
        await effect();
        await store.inbox.claim(held, transaction, SHORT_MS).catch(() => undefined);
      });
      await holder.rollback();
      assert.equal(outcome.kind, 'retry');
      assert.ok(consumer.events[0]?.outcome.kind === 'retry' && consumer.events[0].outcome.counted);
      assert.deepEqual(await consumer.receive(message, works), { kind: 'done' });
      assert.deepEqual(await consumer.effects(message), ['done']);
    },
  },
  {
    name: 'after a commit whose answer was lost the inbox row decides',
    guards: 'Repeated blindly the message is handled twice; acknowledged blindly it may be lost.',
    async run(fixture) {
      const consumer = new Consumer(fixture, fixture.store);
      const [there, gone] = [freshEvent(), freshEvent()];
      const losing = (fate: 'committed' | 'rolled back') => (real: InboxUnit) => ({
        run: async <T>(body: Parameters<typeof real.run<T>>[0]): Promise<T> => {
          const abort = new Error('rolled back on purpose');
          await real
            .run(async (transaction, publish) => {
              const value = await body(transaction, publish);
              if (fate === 'rolled back') throw abort;
              return value;
            })
            .catch((error: unknown) => {
              if (error !== abort) throw error;
            });
          throw new CommitUnknownError();
        },
      });
      assert.deepEqual(await consumer.receive(there, works, { unit: losing('committed') }), {
        kind: 'done',
      });
      const outcome = await consumer.receive(gone, works, { unit: losing('rolled back') });
      assert.equal(outcome.kind, 'retry');
      assert.deepEqual(consumer.outcomes, ['committed', 'retry']);
      assert.ok(
        consumer.events[1]?.outcome.kind === 'retry' && !consumer.events[1].outcome.counted,
      );
      await consumer.receive(gone, works, { delivery: 2 });
      assert.deepEqual(await consumer.effects(there), ['done']);
      assert.deepEqual(await consumer.effects(gone), ['done']);
    },
  },
  {
    name: 'a duplicate in the same process joins the one that runs, without a transaction',
    guards: 'Each redelivery of a slow message would take a connection until the pool has none.',
    async run(fixture) {
      const consumer = new Consumer(fixture, fixture.store);
      const message = freshEvent();
      let release: () => void = () => undefined;
      const gate = new Promise<void>((resolve) => (release = resolve));
      let reached: () => void = () => undefined;
      const running = new Promise<void>((resolve) => (reached = resolve));
      const first = consumer.receive(message, async ({ effect }) => {
        reached();
        await gate;
        await effect();
      });
      await running;
      const others = Array.from({ length: 20 }, () => consumer.receive(message, works));
      assert.equal(consumer.units, 1);
      release();
      for (const outcome of await Promise.all([first, ...others])) {
        assert.deepEqual(outcome, { kind: 'done' });
      }
      assert.equal(consumer.units, 1);
      assert.deepEqual(await consumer.effects(message), ['done']);
      assert.equal(consumer.outcomes.filter((kind) => kind === 'duplicate').length, 20);
    },
  },
  {
    name: 'a joined duplicate of a handler that fails is put off like it',
    guards: 'Acknowledged because the other runs, the message would be lost when the other fails.',
    async run(fixture) {
      const consumer = new Consumer(fixture, fixture.store);
      const message = freshEvent();
      const outcomes = await Promise.all([
        consumer.receive(message, fails(new Error('no'))),
        consumer.receive(message, works),
      ]);
      assert.deepEqual(
        outcomes.map(({ kind }) => kind),
        ['retry', 'retry'],
      );
      assert.deepEqual(await consumer.effects(message), []);
    },
  },
  {
    name: 'a message that another process is handling is put off after a bounded wait, uncounted',
    guards: 'Waiting without an end, redeliveries of one slow message stop the whole consumer.',
    async run(fixture) {
      const slow = new Consumer(fixture, fixture.store);
      const other = new Consumer(fixture, await fixture.newStore(), {
        group: slow.group,
        waitMs: SHORT_MS,
        attempts: 2,
      });
      const message = freshEvent();
      let release: () => void = () => undefined;
      const gate = new Promise<void>((resolve) => (release = resolve));
      let reached: () => void = () => undefined;
      const running = new Promise<void>((resolve) => (reached = resolve));
      const first = slow.receive(message, async ({ effect }) => {
        await effect();
        reached();
        await gate;
      });
      await running;
      const outcome = await other.receive(message, works);
      assert.equal(outcome.kind, 'retry');
      assert.ok(other.events[0]?.outcome.kind === 'retry' && !other.events[0].outcome.counted);
      release();
      assert.deepEqual(await first, { kind: 'done' });
      assert.deepEqual(await other.receive(message, works, { delivery: 2 }), { kind: 'done' });
      assert.deepEqual(await slow.effects(message), ['done']);
    },
  },
  {
    name: 'a message that a frozen process holds counts no attempt while the database may yet release it',
    guards: 'It would be a dead letter, though no process has tried it in vain.',
    async run(fixture) {
      const holder = new Consumer(fixture, fixture.store);
      const skipped = { ms: 0 };
      const other = new Consumer(fixture, await fixture.newStore(), {
        group: holder.group,
        waitMs: 1,
        attempts: 1,
        timeoutMs: 900_000,
        clock: { ...systemClock, now: () => systemClock.now() + skipped.ms },
      });
      const message = freshEvent();
      const frozen = new Gate();
      const first = holder.receive(message, async () => {
        await frozen.pass();
        throw new Error('Its transaction was ended by the database.');
      });
      await frozen.reached;
      for (let delivery = 1; delivery < 30; delivery += 1) {
        const outcome = await other.receive(message, works, { delivery });
        assert.equal(outcome.kind, 'retry');
        skipped.ms += 30_000;
      }
      frozen.open();
      await first;
      assert.deepEqual(await other.receive(message, works, { delivery: 30 }), { kind: 'done' });
      assert.deepEqual(await other.effects(message), ['done']);
      assert.ok(other.events.every(({ outcome }) => outcome.kind !== 'retry' || !outcome.counted));
    },
  },
  {
    name: 'a handler that stops because its message was taken from it counts no attempt',
    guards: 'Some deployments or lapsed leases would make a dead letter of a message that works.',
    async run(fixture) {
      const consumer = new Consumer(fixture, fixture.store, { attempts: 1 });
      const message = freshEvent();
      const subscription = new AbortController();
      const outcome = await consumer.receive(
        message,
        ({ attempt: { signal } }) =>
          new Promise((_, reject) => {
            signal.addEventListener('abort', () => reject(new Error('stopped')), { once: true });
            subscription.abort(new SubscriptionClosedError());
          }),
        { signal: subscription.signal },
      );
      assert.equal(outcome.kind, 'retry');
      assert.deepEqual(await consumer.receive(message, works, { delivery: 2 }), { kind: 'done' });
      assert.deepEqual(await consumer.effects(message), ['done']);
    },
  },
  {
    name: 'one process gives up while another succeeds: the message is done and no dead letter',
    guards: 'Dead and done at once, it would be replayed although it was handled.',
    async run(fixture) {
      const quitter = new Consumer(fixture, fixture.store);
      const worker = new Consumer(fixture, await fixture.newStore(), { group: quitter.group });
      const message = freshEvent();
      const outcome = await quitter.receive(message, fails(new NonRetryableError('never')), {
        unit: (real) => ({
          // Between the rollback and the burial the other process has its chance.
          run: async (body) => {
            try {
              return await real.run(body);
            } finally {
              await worker.receive(message, works, { delivery: 2 });
            }
          },
        }),
      });
      assert.deepEqual(outcome, { kind: 'done' });
      assert.deepEqual(quitter.outcomes, ['duplicate']);
      assert.deepEqual(worker.outcomes, ['committed']);
      assert.deepEqual(await fixture.store.inbox.listDeadLetters({ group: quitter.group }), []);
    },
  },
  {
    name: 'a delivery whose right was lost is not begun',
    guards: 'The next owner of the key has the message already.',
    async run(fixture) {
      const consumer = new Consumer(fixture, fixture.store);
      const message = freshEvent();
      const outcome = await consumer.receive(message, works, { signal: AbortSignal.abort() });
      assert.equal(outcome.kind, 'retry');
      assert.deepEqual(await consumer.effects(message), []);
    },
  },
  {
    name: 'ids, sources and keys no database could hold are handled once, buried and listed all the same',
    guards: 'A message that can be neither claimed nor buried would come back for ever.',
    async run(fixture) {
      const consumer = new Consumer(fixture, fixture.store);
      for (const id of ['a\0b', 'x'.repeat(20_000), '\ud800', '']) {
        const message = freshEvent({ id, source: `shop\0${id.slice(0, 10)}`, key: `k\0${id}` });
        assert.deepEqual(await consumer.receive(message, works), { kind: 'done' });
        assert.deepEqual(await consumer.receive(message, works), { kind: 'done' });
        const dead = { ...message, type: 'order.dead\0', source: `dead\0${id.slice(0, 10)}` };
        await consumer.receive(dead, () => Promise.reject(new NonRetryableError('x\0\ud800')));
        const letters = await fixture.store.inbox.listDeadLetters({ group: consumer.group });
        assert.deepEqual({ ...letters.at(-1)?.message, payload: 0 }, { ...dead, payload: 0 });
      }
      const kinds = new Set(consumer.outcomes);
      assert.deepEqual([...kinds], ['committed', 'duplicate', 'buried']);
    },
  },
];
