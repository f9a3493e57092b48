import { AsyncLocalStorage } from 'node:async_hooks';
import { afterEach, describe, expect, it } from 'vitest';
import { InvalidArgumentError } from '../../errors/index.js';
import { EngineBench, Program, type ProgramOptions } from '../../testing/index.js';
import type { AroundAttempt } from '../facts/index.js';
import { FactStream } from '../facts/index.js';

let bench: EngineBench;
afterEach(() => bench.close());

/** A rejection that nobody handles fails the run; it is reported once the microtasks have ended. */
const settled = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

const trace = { traceparent: '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01' };

/** Runs a saga within these functions; how it ended, and the lines about faults. */
async function within(options: ProgramOptions, ...arounds: readonly AroundAttempt[]) {
  const program = new Program(options);
  bench = new EngineBench([program]);
  const engine = await bench.engine({ around: arounds });
  const handle = await bench.start(engine, program, null, { trace });
  const outcome = await bench.clock.until(handle.outcome());
  await settled();
  const faults = bench.log
    .filter(({ message }) => message.startsWith('A function around attempts'))
    .map(({ message }) => /attempts (.*);/.exec(message)?.[1]);
  return { program, handle, outcome, faults };
}

const done: ProgramOptions = { output: 'a', steps: { a: { run: () => 'done' } } };

describe('a function around attempts', () => {
  it('is called with each attempt, and its context is there in the method', async () => {
    const context = new AsyncLocalStorage<string>();
    const inside: unknown[] = [];
    const given: unknown[] = [];
    let tries = 0;
    const { handle, program, outcome, faults } = await within(
      {
        steps: {
          a: {
            retry: { attempts: 2, backoffMs: 10 },
            run: async () => {
              await Promise.resolve();
              inside.push(context.getStore());
              if (tries++ === 0) throw new Error('no');
            },
            undo: () => void inside.push(context.getStore()),
          },
          b: {
            dependsOn: ['a'],
            run: () => Promise.reject(new Error('no')),
          },
        },
      },
      (attempt, work) => {
        given.push(attempt);
        return context.run(`${attempt.role} ${attempt.step} ${attempt.attempt}`, work);
      },
    );
    expect(outcome.status).toBe('compensated');
    expect(inside).toEqual(['step a 1', 'step a 2', 'compensation a 1']);
    const all = { sagaId: handle.id, saga: program.definition.name, item: null, ...trace };
    expect(given).toEqual(
      [
        { role: 'step', step: 'a', attempt: 1 },
        { role: 'step', step: 'a', attempt: 2 },
        { role: 'step', step: 'b', attempt: 1 },
        { role: 'compensation', step: 'a', attempt: 1 },
      ].map((one) => expect.objectContaining({ kind: 'attempt_began', ...all, ...one }) as unknown),
    );
    expect(faults).toEqual([]);
  });

  it('stands around those that were added later', async () => {
    const order: string[] = [];
    const around =
      (name: string): AroundAttempt =>
      async (_attempt, work) => {
        order.push(`${name} begins`);
        await work();
        order.push(`${name} ends`);
      };
    const { outcome } = await within(done, around('outer'), around('inner'));
    expect(outcome).toMatchObject({ status: 'completed', output: 'done' });
    expect(order).toEqual(['outer begins', 'inner begins', 'inner ends', 'outer ends']);
  });

  it('learns how the method ended, and may pass its error on', async () => {
    const heard: string[] = [];
    const { outcome, faults } = await within(
      { steps: { a: { run: () => Promise.reject(new Error('no')) } } },
      (_attempt, work) => work().catch((error: unknown) => heard.push(String(error))),
      async (_attempt, work) => await work(),
    );
    expect(outcome).toMatchObject({ failure: { cause: { error: { message: 'no' } } } });
    expect(heard).toEqual(['Error: no']);
    expect(faults).toEqual([]);
  });

  it.each<[string, AroundAttempt, readonly string[]]>([
    [
      'throws before it calls the work',
      () => {
        throw new Error('of its own');
      },
      ['threw'],
    ],
    [
      'throws after it has called the work',
      (_attempt, work) => {
        void work();
        throw new Error('of its own');
      },
      ['threw'],
    ],
    ['never calls the work', () => undefined, ['did not call its work before it returned']],
    [
      'waits for something that never comes',
      () => new Promise(() => undefined),
      ['did not call its work before it returned'],
    ],
    [
      'calls the work too late',
      async (_attempt, work) => {
        await Promise.resolve();
        return work();
      },
      ['did not call its work before it returned'],
    ],
    [
      'calls the work twice',
      (_attempt, work) => Promise.all([work(), work()]),
      ['called its work more than once, or too late'],
    ],
    ['returns something else', (_attempt, work) => work().then(() => 'changed'), []],
    [
      'rejects with an error of its own',
      async (_attempt, work) => {
        await work();
        throw new Error('of its own');
      },
      ['rejected'],
    ],
  ])('that %s changes nothing: the method runs once, and its result counts', async (...given) => {
    const [, around, expected] = given;
    const { program, outcome, faults } = await within(done, around);
    expect(outcome).toEqual({ status: 'completed', output: 'done' });
    expect(program.calls).toEqual(['step a']);
    expect(faults).toEqual(expected);
  });

  it('that fails around a failing method leaves it its own error', async () => {
    const own = (): never => {
      throw new Error('of its own');
    };
    const { program, outcome } = await within(
      { steps: { a: { run: () => Promise.reject(new Error('no')) } } },
      own,
      async (_attempt, work) => {
        await work().catch(() => undefined);
        own();
      },
    );
    expect(outcome).toMatchObject({ failure: { cause: { error: { message: 'no' } } } });
    expect(program.calls).toEqual(['step a']);
  });

  it('that fails at every attempt is logged once a minute', async () => {
    const steps = Object.fromEntries(Array.from({ length: 50 }, (_, n) => [`s${n}`, {}]));
    const { faults } = await within({ steps }, () => undefined);
    expect(faults).toHaveLength(1);
  });

  it('is called for each run of a transaction, with the same attempt', async () => {
    const given = new Set<unknown>();
    let calls = 0;
    const program = new Program({ steps: { a: { transactional: true } } });
    bench = new EngineBench([program]);
    let lost = 0;
    const engine = await bench.engine({
      around: [
        (attempt, work) => {
          calls += 1;
          given.add(attempt);
          return work();
        },
      ],
      stepTransactions: {
        run: async (_connection, work, beforeCommit) => {
          await bench.transactions.run(async (transaction) => {
            await work(transaction);
            if (lost++ === 0) throw Object.assign(new Error('race'), { code: '40001' });
            await beforeCommit(transaction);
          });
        },
      },
    });
    await bench.clock.until((await bench.start(engine, program)).outcome());
    expect([calls, given.size]).toEqual([2, 1]);
  });

  it('may be any function, and is called no more once it is removed', async () => {
    const { log } = (bench = new EngineBench([]));
    const say = (message: string): void => void log.push({ level: 'error', message });
    const facts = new FactStream({ logger: { debug: say, info: say, warn: say, error: say } });
    expect(() => facts.around({} as never)).toThrow(InvalidArgumentError);
    const remove = facts.around((_attempt, work) => work());
    expect(facts.wraps).toBe(true);
    remove();
    expect(facts.wraps).toBe(false);
  });
});
