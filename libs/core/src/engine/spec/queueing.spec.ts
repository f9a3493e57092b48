import { afterEach, describe, expect, it } from 'vitest';
import { command, defineCommand } from '../../messaging/index.js';
import type { SagaStore } from '../../ports/index.js';
import {
  EngineBench,
  Gate,
  Program,
  severable,
  type BenchEngineOptions,
} from '../../testing/index.js';
import { factHandlers, type FactOf } from '../facts/index.js';
import { order, replyTo } from './commands.fixture.js';

const Pay = defineCommand<{ n: number }, string>()('party.pay');

let bench: EngineBench;
afterEach(() => bench.close());

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
/** More than anything takes that does not have to wait: a round of polling and the writes. */
const AT_ONCE = 1_100;

/** Collects how long attempts and sagas waited. */
function waits() {
  const began: FactOf<'attempt_began'>[] = [];
  const claimed: (number | null)[] = [];
  const took: number[] = [];
  const listener = factHandlers({
    attempt_began: (fact) => began.push(fact),
    attempt_ended: ({ durationMs }) => took.push(durationMs),
    saga_claimed: ({ queuedMs }) => claimed.push(queuedMs),
  });
  /** The waits of the attempts of a task, in order. */
  const of = (step: string, role = 'step'): number[] =>
    began.flatMap((one) => (one.step === step && one.role === role ? [one.queuedMs] : []));
  return { listener, of, claimed, took };
}

async function engineWith(options: BenchEngineOptions, ...programs: readonly Program[]) {
  bench = new EngineBench(programs);
  const told = waits();
  const engine = await bench.engine({ listener: told.listener, ...options });
  return { engine, ...told };
}

describe('an attempt waits from when it could have begun', () => {
  it('for a permit', async () => {
    const gate = new Gate();
    const hold = new Program({ steps: { hold: { run: () => gate.pass() } } });
    const other = new Program({ steps: { late: {} } });
    const { engine, of } = await engineWith({ settings: { maxInFlight: 1 } }, hold, other);
    await bench.start(engine, hold);
    await bench.clock.until(gate.reached);
    const handle = await bench.start(engine, other);
    await bench.clock.advance(10_000);
    gate.open();
    await bench.clock.until(handle.outcome());
    expect(of('hold')).toEqual([0]);
    expect(of('late')).toEqual([10_000]);
  });

  it('for a permit that it lacks since the step before it was done, although siblings moved', async () => {
    const first = new Gate();
    const second = new Gate();
    const program = new Program({
      steps: {
        long: { timeoutMs: false, run: () => second.pass() },
        a: { run: () => first.pass() },
        b: { dependsOn: ['a'] },
      },
    });
    const hold = new Program({
      steps: { hold: { run: () => new Promise(() => undefined), timeoutMs: 9_000 } },
    });
    const { engine, of } = await engineWith({ settings: { maxInFlight: 2 } }, program, hold);
    await bench.start(engine, program);
    await bench.clock.until(first.reached);
    await bench.clock.until(second.reached);
    await bench.start(engine, hold);
    await bench.clock.advance(5_000);
    // The other saga has waited for longer, so it gets the permit of this step.
    first.open();
    await bench.clock.advance(3_000);
    second.open();
    await bench.clock.advance(MINUTE);
    expect(of('hold')).toEqual([5_000]);
    expect(of('b')).toEqual([3_000]);
  });

  it('and not while its delay after a failure runs', async () => {
    let tries = 0;
    const program = new Program({
      steps: {
        a: {
          retry: { attempts: 2, backoffMs: HOUR, maxDelayMs: HOUR },
          run: () => (tries++ === 0 ? Promise.reject(new Error('no')) : 'done'),
        },
      },
    });
    const { engine, of, claimed } = await engineWith({}, program);
    const handle = await bench.start(engine, program);
    await bench.clock.until(handle.outcome({ timeout: '2h' }));
    expect(of('a')).toHaveLength(2);
    for (const ms of [...of('a'), ...claimed]) expect(ms).toBeLessThan(AT_ONCE);
  });

  it('for an engine, as its saga does', async () => {
    const program = new Program({ steps: { a: {}, b: { dependsOn: ['a'] } } });
    bench = new EngineBench([program]);
    const starts = bench.idleEngine();
    const handle = await bench.start(starts, program);
    await bench.clock.advance(MINUTE);
    const { listener, of, claimed } = waits();
    const engine = await bench.engine({ listener });
    await bench.clock.until(engine.handle(handle.id).outcome());
    expect(claimed).toHaveLength(1);
    for (const ms of [...claimed, ...of('a')]) {
      expect(ms).toBeGreaterThanOrEqual(MINUTE);
      expect(ms).toBeLessThan(MINUTE + AT_ONCE);
    }
    expect(of('b')).toEqual([0]);
  });

  it('for a connection', async () => {
    const program = new Program({ steps: { a: { transactional: true } } });
    const { engine, of } = await engineWith(
      {
        stepTransactions: {
          run: async (_connection, work, beforeCommit) => {
            await new Promise<void>((resolve) => bench.clock.after(700, resolve));
            await bench.transactions.run(async (transaction) => {
              await work(transaction);
              await beforeCommit(transaction);
            });
          },
        },
      },
      program,
    );
    await bench.clock.until((await bench.start(engine, program)).outcome());
    expect(of('a')).toEqual([700]);
  });

  it('for the outputs in the store that it may ask for, which do not count as its work', async () => {
    const gate = new Gate();
    const program = new Program({
      steps: {
        first: { run: () => ({ text: 'x'.repeat(100_000) }) },
        second: { dependsOn: ['first'], run: () => gate.pass() },
      },
    });
    bench = new EngineBench([program]);
    const dying = await bench.engine();
    await bench.start(dying, program);
    await bench.clock.until(gate.reached);
    bench.kill(dying);
    gate.open();
    const sagas = severable<SagaStore>(bench.sagas);
    const release = sagas.holdNext('dataOf');
    const { listener, of, took } = waits();
    await bench.engine({ listener, store: () => sagas.value });
    await bench.clock.advance(2 * MINUTE);
    expect(of('second')).toEqual([]);
    release();
    await bench.clock.advance(100);
    expect(of('second')).toHaveLength(1);
    expect(of('second')[0]).toBeGreaterThan(MINUTE);
    expect(took).toEqual([0]);
  });

  it('of an undo: until what came after its step is undone, and until a person lets it go on', async () => {
    let stuck = true;
    const undo = (): Promise<unknown> =>
      stuck
        ? Promise.reject(new Error('stuck'))
        : new Promise((resolve) => bench.clock.after(5_000, () => resolve(null)));
    const program = new Program({
      steps: {
        a: { undo: true },
        b: { dependsOn: ['a'], undo },
        c: { dependsOn: ['b'], run: () => Promise.reject(new Error('no')) },
      },
    });
    const { engine, of } = await engineWith({}, program);
    const handle = await bench.start(engine, program);
    expect((await bench.clock.until(handle.outcome())).status).toBe('needs_attention');
    await bench.clock.advance(HOUR);
    stuck = false;
    await engine.retry(handle.id);
    await bench.clock.advance(MINUTE);
    expect((await bench.sagas.get(handle.id))?.status).toBe('compensated');
    expect(of('b', 'compensation')).toHaveLength(2);
    expect(of('a', 'compensation')).toHaveLength(1);
    for (const ms of [...of('b', 'compensation'), ...of('a', 'compensation')]) {
      expect(ms).toBeLessThan(AT_ONCE);
    }
  });

  it('and not while its saga needed a person', async () => {
    const gate = new Gate();
    const program = new Program({
      failureStrategy: 'wait-all',
      steps: {
        pay: { pivot: true, run: () => command(Pay, { n: 1 }), replyTimeoutMs: MINUTE },
        slow: { timeoutMs: false, run: () => gate.pass() },
        next: { dependsOn: ['slow'] },
      },
    });
    const { engine, of } = await engineWith({}, program);
    const handle = await bench.start(engine, program);
    await bench.clock.advance(2 * MINUTE);
    // Nothing new begins, since it is unknown whether the pivot had its effect.
    gate.open();
    await bench.clock.advance(HOUR);
    expect((await bench.sagas.get(handle.id))?.status).toBe('needs_attention');
    await replyTo(bench, bench.sent[0], 'ok', 'paid');
    await bench.clock.until(handle.outcome());
    await bench.clock.advance(2_000);
    expect((await bench.sagas.get(handle.id))?.status).toBe('completed');
    expect(of('next')).toHaveLength(1);
    expect(of('next')[0]).toBeLessThan(AT_ONCE);
  });
});

describe('a saga that is loaded', () => {
  it('waited for nothing that has a time if mail woke it', async () => {
    const program = new Program(order);
    const { engine, claimed } = await engineWith({}, program);
    const handle = await bench.start(engine, program);
    await bench.clock.advance(10_000);
    await replyTo(bench, bench.sent[0], 'ok', { place: 'x' });
    await bench.clock.until(handle.outcome());
    expect(claimed).toEqual([null]);
  });

  it('waited since the time until which it waited for a reply', async () => {
    const program = new Program(order);
    bench = new EngineBench([program]);
    const first = await bench.engine();
    await bench.start(first, program);
    await bench.clock.advance(10_000);
    await bench.clock.until(first.close());
    await bench.clock.advance(3 * MINUTE);
    const { listener, claimed } = waits();
    await bench.engine({ listener });
    await bench.clock.advance(AT_ONCE);
    // Its reply was due a minute after its command.
    expect(claimed[0]).toBeGreaterThan(2 * MINUTE);
    expect(claimed[0]).toBeLessThan(2 * MINUTE + 10_000 + AT_ONCE);
  });
});
