import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { MemoryInboxStore, MemoryTable, MemoryTransactions } from '../../memory/index.js';
import { InboxProcessor, jsonCodec, storeUnit, UnservedWatch } from '../../messaging/index.js';
import { failing, failingLogger, type Failing } from '../../observers/failing.fixture.js';
import type { Transaction } from '../../ports/index.js';
import {
  EngineBench,
  outboxMessage,
  Program,
  RelayBench,
  textOf,
  VirtualClock,
} from '../../testing/index.js';
import type { EngineFact } from '../facts/index.js';
import { UnservedSagasWatch } from '../unserved/index.js';

const WAYS: readonly Failing[] = ['throws', 'rejects', 'cannot be read'];

beforeEach(() => {
  vi.spyOn(process, 'emitWarning').mockImplementation(() => undefined);
});
afterEach(() => vi.restoreAllMocks());

/** A rejection that nobody handles fails the run; it is reported once the microtasks have ended. */
const settled = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

function call(observer: object, name: string): unknown {
  const method: unknown = Reflect.get(observer, name);
  return typeof method === 'function' ? Reflect.apply(method, observer, []) : undefined;
}

describe.each(WAYS)('an observer and a logger of which every method %s', (how) => {
  it('stop no saga: each ends as it would, also after the death of its engine', async () => {
    let lame = true;
    const program = new Program({
      steps: {
        a: { undo: true },
        b: {
          dependsOn: ['a'],
          retry: { attempts: 2 },
          run: () => Promise.reject(new Error('no')),
        },
      },
    });
    const forward = new Program({
      output: 'a',
      steps: { a: { run: () => (lame ? new Promise(() => undefined) : 'done') } },
    });
    const bench = new EngineBench([program, forward]);
    const told: string[] = [];
    const lines: string[] = [];
    const listener = (fact: EngineFact): unknown => call(failing(how, told), fact.kind);
    const parts = { listener, logger: failingLogger(how, lines) };
    const dying = await bench.engine(parts);
    const handle = await bench.start(dying, program);
    expect(await bench.clock.until(handle.outcome())).toMatchObject({ status: 'compensated' });
    const { id } = await bench.start(dying, forward);
    await bench.clock.advance(10);
    bench.kill(dying);
    lame = false;
    const heir = await bench.engine(parts);
    expect(await bench.clock.until(heir.handle(id).outcome({ timeout: '1h' }))).toEqual({
      status: 'completed',
      output: 'done',
    });
    await bench.close();
    await settled();
    expect(new Set(told)).toEqual(
      new Set([
        'saga_started',
        'saga_claimed',
        'saga_adopted',
        'saga_given_back',
        'saga_compensating',
        'saga_ended',
        'attempt_began',
        'attempt_ended',
        'task_failed',
        'task_crashed',
        'transitions_flushed',
        'engine_buried',
      ]),
    );
    expect(lines).not.toEqual([]);
  });

  it('stop no message on its way to the broker', async () => {
    const bench = new RelayBench();
    const told: string[] = [];
    const lines: string[] = [];
    const relay = bench.relay({}, failing(how, told), { logger: failingLogger(how, lines) });
    bench.broker.failWith((message) =>
      textOf(message) === 'a:1' ? { kind: 'rejected', error: new Error('no') } : null,
    );
    await relay.start();
    await bench.write(outboxMessage('a', 1), outboxMessage('a', 2), outboxMessage('b', 1));
    await bench.clock.advance(60_000);
    bench.broker.setDown(new Error('away'));
    await bench.write(outboxMessage('b', 2));
    await bench.clock.advance(10_000);
    bench.broker.setDown(null);
    await bench.clock.advance(60_000);
    expect(bench.published().sort()).toEqual(['a:2', 'b:1', 'b:2']);
    const { byStatus } = await bench.outbox.stats();
    expect(byStatus.get('dead_letter')).toBe(1);
    await settled();
    for (const event of ['published', 'failed', 'deadLettered', 'paused', 'lag', 'leases']) {
      expect(told).toContain(event);
    }
    expect(lines).toContain('error');
    await bench.clock.until(relay.close(1_000));
  });

  it('stop no message at its handler', async () => {
    const clock = new VirtualClock();
    const transactions = new MemoryTransactions(clock);
    const inbox = new MemoryInboxStore(transactions, clock);
    const done = new MemoryTable<string>();
    const told: string[] = [];
    const processor = new InboxProcessor({
      inbox,
      transactions,
      outbox: { append: () => Promise.resolve() },
      service: 'stock',
      clock,
      logger: failingLogger(how, []),
      observer: { ended: (): unknown => call(failing(how, told), 'ended') },
    });
    const handler = {
      group: 'stock',
      type: 'order.placed',
      retry: { attempts: 2, backoffMs: 1_000, factor: 1, maxDelayMs: 1_000, jitter: 0 },
      timeoutMs: null,
      maxCrashes: 3,
      codec: jsonCodec,
    };
    const unit = storeUnit({ transactions, outbox: { appendAtCommit: () => Promise.resolve() } });
    let opened: Transaction | undefined;
    const receive = (key: string, attempt: number, fails: boolean) => {
      const { delayMs: _, ordered: __, ...message } = outboxMessage(key, 1, { id: `id-${key}` });
      const delivery = {
        message: { ...message, type: 'order.placed' },
        group: 'stock',
        attempt,
        afterDeath: false,
        signal: new AbortController().signal,
      };
      return processor.receive(delivery, handler, (one) =>
        one.run(
          { run: (body) => unit.run((t, publish) => ((opened = t), body(t, publish))) },
          async () => {
            if (fails) throw new Error('no');
            if (opened === undefined) throw new Error('There is no transaction.');
            await transactions.within(opened, (own) => done.set(key, 'done', own));
          },
        ),
      );
    };
    expect(await receive('a', 1, false)).toEqual({ kind: 'done' });
    expect(await receive('a', 2, false)).toEqual({ kind: 'done' });
    expect((await receive('b', 1, true)).kind).toBe('retry');
    expect((await receive('b', 2, true)).kind).toBe('done');
    await settled();
    expect(done.entries().map(([key]) => key)).toEqual(['a']);
    expect(await inbox.countDeadLetters()).toBe(1);
    expect(told).toEqual(['ended', 'ended', 'ended', 'ended']);
  });

  it('stop no look at queues that nobody serves', async () => {
    const clock = new VirtualClock();
    const told: string[] = [];
    const observer = (): unknown => call(failing(how, told), 'unserved');
    const queue = { kind: 'group', name: 'billing', oldestMs: 90_000 } as const;
    const watch = new UnservedWatch({
      sources: [() => Promise.resolve([queue])],
      clock,
      logger: failingLogger(how, []),
      observer,
    });
    watch.start();
    await clock.advance(120_000);
    await settled();
    expect(watch.current).toEqual([queue]);
    expect(told.length).toBeGreaterThan(2);
    await clock.until(watch.stop());
  });

  it('stop no look at sagas that no engine runs', async () => {
    const clock = new VirtualClock();
    const told: string[] = [];
    const sagas = {
      name: 'a',
      version: 1,
      format: 1,
      count: 1,
      more: false,
      oldestMs: 90_000,
      example: 's',
    };
    const watch = new UnservedSagasWatch({
      store: { unserved: () => Promise.resolve([sagas]) },
      clock,
      logger: failingLogger(how, []),
      observer: () => call(failing(how, told), 'unservedSagas'),
    });
    watch.start();
    await clock.advance(120_000);
    await settled();
    expect(watch.found).toEqual([sagas]);
    expect(told.length).toBeGreaterThan(2);
    watch.stop();
  });
});
