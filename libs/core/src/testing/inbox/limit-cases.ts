import assert from 'node:assert/strict';
import { HandlerTimeoutError, inboxKeyOf } from '../../messaging/index.js';
import type { Transactions } from '../../ports/index.js';
import type { ContractCase } from '../contract-case.js';
import { Consumer, freshEvent, type HandlerCall, type InboxDeliveryFixture } from './consumer.js';
import { SHORT_MS, WAIT_MS } from './inbox-fixture.js';

const works = ({ effect }: HandlerCall): Promise<void> => effect();
const lostRace = Object.assign(new Error('could not serialize access'), { code: '40001' });

/** The store's transactions, with which the lost race above was reported, or was not. */
function reporting(transactions: Transactions, reported: boolean): Transactions {
  return {
    run: (work) => transactions.run(work),
    enlist: (client) => transactions.enlist(client),
    open: (transaction) => transactions.open(transaction),
    control: (client, statement, send) => transactions.control(client, statement, send),
    abandon: (transaction) => transactions.abandon(transaction),
    reported: (error) => (error === lostRace ? reported : transactions.reported(error)),
  };
}

/** How long a handler may take, and how often it may lose a race. */
export const limitCases: readonly ContractCase<InboxDeliveryFixture>[] = [
  {
    name: 'a handler whose transaction lost a race runs again at once, and no attempt is counted',
    guards: 'Serialization failures and deadlocks say nothing about the message.',
    async run(fixture) {
      const consumer = new Consumer(fixture, fixture.store, {
        attempts: 1,
        transactions: reporting(fixture.store.transactions, true),
      });
      const message = freshEvent();
      let calls = 0;
      const handle = async ({ effect }: HandlerCall): Promise<void> => {
        calls += 1;
        await effect(`run ${calls}`);
        if (calls < 3) throw lostRace;
      };
      assert.deepEqual(await consumer.receive(message, handle), { kind: 'done' });
      assert.deepEqual(await consumer.effects(message), ['run 3']);
      const always = freshEvent();
      const outcome = await consumer.receive(always, () => Promise.reject(lostRace));
      assert.equal(outcome.kind, 'retry', 'what goes on losing is put off, not buried');
      assert.deepEqual(consumer.outcomes, ['committed', 'retry']);
    },
  },
  {
    name: 'a handler that always loses the race uses up its attempts in the end, and is a dead letter',
    guards: 'A handler that always meets the same lock would run for ever and hold its key.',
    async run(fixture) {
      const consumer = new Consumer(fixture, fixture.store, {
        attempts: 2,
        transactions: reporting(fixture.store.transactions, true),
      });
      const message = freshEvent();
      for (let delivery = 1; consumer.outcomes.at(-1) !== 'buried'; delivery += 1) {
        assert.ok(delivery < 50, 'It is put off without an end.');
        await consumer.receive(message, () => Promise.reject(lostRace), { delivery });
      }
      const counted = consumer.events.filter(({ outcome }) =>
        outcome.kind === 'retry' ? outcome.counted : false,
      );
      assert.equal(counted.length, 1, 'only what is lost again and again counts');
      const uncounted = consumer.events.flatMap(({ outcome }) =>
        outcome.kind === 'retry' && !outcome.counted ? [outcome.delayMs] : [],
      );
      assert.ok(uncounted.length >= 5, 'the first few do not count');
      const waitedMs = uncounted.reduce((sum, delayMs) => sum + delayMs, 0);
      assert.ok(waitedMs < 15_000, `it holds its key for ${waitedMs} ms before anything counts`);
    },
  },
  {
    name: 'a race that was lost in another database is a failure of the handler',
    guards: 'What another database says to a handler would be repeated for ever, uncounted.',
    async run(fixture) {
      const consumer = new Consumer(fixture, fixture.store, {
        attempts: 1,
        transactions: reporting(fixture.store.transactions, false),
      });
      const message = freshEvent();
      let calls = 0;
      await consumer.receive(message, () => {
        calls += 1;
        return Promise.reject(lostRace);
      });
      assert.equal(calls, 1);
      assert.deepEqual(consumer.outcomes, ['buried']);
    },
  },
  {
    name: 'a handler that hangs is told to stop, loses its transaction and counts an attempt',
    guards: 'It would keep its place, its connection and its locks for good, uncounted.',
    async run(fixture) {
      const options = { timeoutMs: SHORT_MS, graceMs: SHORT_MS, waitMs: WAIT_MS };
      const consumer = new Consumer(fixture, fixture.store, options);
      const message = freshEvent();
      let signal: AbortSignal | undefined;
      let goOn: () => void = () => undefined;
      const gate = new Promise<void>((resolve) => (goOn = resolve));
      let late: Promise<unknown> = Promise.resolve();
      const outcome = await consumer.receive(message, ({ attempt, effect }) => {
        ({ signal } = attempt);
        late = gate.then(() => effect('late'));
        return late;
      });
      assert.equal(outcome.kind, 'retry');
      assert.ok(outcome.error instanceof HandlerTimeoutError);
      assert.equal(signal?.aborted, true);
      const [event] = consumer.events;
      assert.ok(event?.outcome.kind === 'retry' && event.outcome.counted);
      const key = inboxKeyOf(consumer.group, message);
      const { failures, timeouts } = await consumer.parts.inbox.readAttempts(key);
      assert.deepEqual({ failures, timeouts }, { failures: 1, timeouts: 1 });
      // Its locks are free although it has not ended: another process can handle the message.
      const other = new Consumer(fixture, await fixture.newStore(), { group: consumer.group });
      const again = await other.receive(message, works, { delivery: 2 });
      assert.deepEqual(again, { kind: 'done' });
      goOn();
      await assert.rejects(late, 'what comes too late has no transaction any more');
      assert.deepEqual(await consumer.effects(message), ['done']);
    },
  },
  {
    name: 'a handler that ends after its time has no effect, also where it heeds no signal',
    guards: 'Counted as failed, and committed all the same.',
    async run(fixture) {
      const options = { timeoutMs: SHORT_MS, graceMs: WAIT_MS };
      const consumer = new Consumer(fixture, fixture.store, options);
      const message = freshEvent();
      const outcome = await consumer.receive(message, async ({ attempt, effect }) => {
        await effect();
        await new Promise((resolve) => attempt.signal.addEventListener('abort', resolve));
      });
      assert.ok(outcome.kind === 'retry' && outcome.error instanceof HandlerTimeoutError);
      assert.deepEqual(await consumer.effects(message), []);
    },
  },
  {
    name: 'a guard that hangs in front of the handler is given up like a handler',
    guards: 'Whatever stands before the handler keeps its place as well.',
    async run(fixture) {
      const options = { timeoutMs: SHORT_MS, graceMs: SHORT_MS };
      const consumer = new Consumer(fixture, fixture.store, options);
      const message = freshEvent();
      let letThrough: () => void = () => undefined;
      let called: Promise<unknown> = Promise.resolve();
      const outcome = await consumer.receive(message, works, {
        pipeline: (_, call) => {
          called = new Promise<void>((resolve) => (letThrough = resolve)).then(call);
          return called;
        },
      });
      assert.ok(outcome.kind === 'retry' && outcome.error instanceof HandlerTimeoutError);
      letThrough();
      await assert.rejects(called, HandlerTimeoutError);
      assert.equal(consumer.units, 0);
    },
  },
  {
    name: 'what once hung is handled by few at a time, the others wait without a place',
    guards: 'The retries of a few messages that hang would take every place again.',
    async run(fixture) {
      // Long enough for a busy machine to open the transactions.
      const options = { timeoutMs: 500, graceMs: SHORT_MS, slowPlaces: 1, attempts: 9 };
      const consumer = new Consumer(fixture, fixture.store, options);
      const messages = [freshEvent(), freshEvent(), freshEvent()];
      const hangs = (): Promise<never> => new Promise(() => undefined);
      await Promise.all(messages.map((message) => consumer.receive(message, hangs)));
      // In another process, which knows of it from the database.
      const other = new Consumer(fixture, await fixture.newStore(), {
        ...options,
        group: consumer.group,
      });
      for (const one of [consumer, other]) {
        let running = 0;
        let most = 0;
        const handle = (): Promise<never> => {
          running += 1;
          most = Math.max(most, running);
          return hangs();
        };
        await Promise.all(
          messages.map(async (message) => {
            const outcome = await one.receive(message, handle, { delivery: 2 });
            assert.ok(outcome.kind === 'retry');
            if (outcome.error instanceof HandlerTimeoutError) running -= 1;
          }),
        );
        assert.equal(most, 1);
      }
    },
  },
  {
    name: 'a duplicate in the same process does not wait for longer than for another process',
    guards: 'For as long as a handler may take, each duplicate would keep a place.',
    async run(fixture) {
      const consumer = new Consumer(fixture, fixture.store, { waitMs: SHORT_MS });
      const message = freshEvent();
      let release: () => void = () => undefined;
      const gate = new Promise<void>((resolve) => (release = resolve));
      const first = consumer.receive(message, () => gate);
      const second = await consumer.receive(message, works);
      assert.equal(second.kind, 'retry');
      release();
      assert.deepEqual(await first, { kind: 'done' });
    },
  },
];
