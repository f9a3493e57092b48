import { afterEach, describe, expect, it } from 'vitest';
import { NonRetryableError, SagaRefusal } from '../../errors/index.js';
import { EngineBench, Gate, Program, type ProgramOptions } from '../../testing/index.js';
import { SagaEndedError } from '../index.js';

let bench: EngineBench;
afterEach(() => bench.close());

function sagas(...options: ProgramOptions[]): Program[] {
  const programs = options.map((one) => new Program(one));
  bench = new EngineBench(programs);
  return programs;
}

describe('going forward', () => {
  it('runs steps that do not depend on each other side by side, with no level barrier', async () => {
    const slow = new Gate();
    const [program] = sagas({
      steps: {
        slow: { run: () => slow.pass() },
        fast: {},
        afterFast: { dependsOn: ['fast'] },
        both: { dependsOn: ['slow', 'afterFast'] },
      },
    });
    if (program === undefined) throw new Error();
    const engine = await bench.engine();
    const handle = await bench.start(engine, program);
    await bench.clock.until(slow.reached);
    await bench.clock.settle();
    expect(program.calls).toEqual(['step slow', 'step fast', 'step afterFast']);
    slow.open();
    await bench.clock.until(handle.result());
    expect(program.calls.at(-1)).toBe('step both');
  });

  it('commits n + 1 times for n steps in a row, whatever n is', async () => {
    for (const n of [1, 2, 5, 9]) {
      const steps = Object.fromEntries(
        Array.from({ length: n }, (_, at) => [
          `s${at}`,
          { dependsOn: at === 0 ? [] : [`s${at - 1}`] },
        ]),
      );
      const [program] = sagas({ steps });
      if (program === undefined) throw new Error();
      const engine = await bench.engine();
      const handle = await bench.start(engine, program);
      await bench.clock.until(handle.result());
      expect(await bench.commits(handle.id)).toBe(n + 1);
    }
  });

  it('folds completions that come together into one commit', async () => {
    const [program] = sagas({ steps: { a: {}, b: {}, c: {}, d: { dependsOn: ['a', 'b', 'c'] } } });
    if (program === undefined) throw new Error();
    const engine = await bench.engine();
    const handle = await bench.start(engine, program);
    await bench.clock.until(handle.result());
    expect(await bench.commits(handle.id)).toBeLessThanOrEqual(4);
  });

  it('gives steps the input and the results, and nobody the chance to change them afterwards', async () => {
    const input = { items: [1] };
    const output = { total: 1 };
    const [program] = sagas({
      output: 'second',
      steps: {
        first: { run: () => output },
        second: {
          dependsOn: ['first'],
          run: ({ input: given, context }) => {
            output.total = 2;
            const read: unknown = Reflect.apply(
              Reflect.get(context, 'result') as () => unknown,
              context,
              ['first'],
            );
            return { given, read };
          },
        },
      },
    });
    if (program === undefined) throw new Error();
    const engine = await bench.engine();
    const handle = await bench.start(engine, program, input);
    input.items.push(2);
    expect(await bench.clock.until(handle.result())).toEqual({
      given: { items: [1] },
      read: { total: 1 },
    });
  });

  it('retries what may pass, with growing delays, until the attempts are used up', async () => {
    const at: number[] = [];
    const [program] = sagas({
      steps: {
        flaky: {
          retry: { attempts: 4, backoffMs: 100, factor: 3, maxDelayMs: 500 },
          run: () => {
            at.push(bench.clock.now());
            throw new Error('not now');
          },
        },
      },
    });
    if (program === undefined) throw new Error();
    const engine = await bench.engine();
    const handle = await bench.start(engine, program);
    const outcome = await bench.clock.until(handle.outcome());
    expect(outcome).toMatchObject({
      status: 'compensated',
      failure: {
        cause: { kind: 'step', step: 'flaky', error: { message: 'not now' } },
        others: [],
      },
    });
    expect(at.map((time) => Math.round(time - (at[0] ?? 0)))).toEqual([0, 100, 400, 900]);
  });

  it('does not repeat what can never succeed, nor a business "no"', async () => {
    for (const error of [new NonRetryableError('never'), new SagaRefusal('no_stock')]) {
      const [program] = sagas({
        steps: { a: { retry: { attempts: 5 }, run: () => Promise.reject(error) } },
      });
      if (program === undefined) throw new Error();
      const engine = await bench.engine();
      const outcome = await bench.clock.until((await bench.start(engine, program)).outcome());
      expect(outcome.status).toBe('compensated');
      expect(program.calls).toEqual(['step a']);
    }
  });

  it('keeps a short delay in memory and gives the saga back for a long one', async () => {
    let failures = 0;
    const [program] = sagas({
      steps: {
        a: {
          retry: { attempts: 3, backoffMs: 500, factor: 120, maxDelayMs: 60_000 },
          run: () => {
            failures += 1;
            if (failures < 3) throw new Error('later');
          },
        },
      },
    });
    if (program === undefined) throw new Error();
    const engine = await bench.engine();
    const handle = await bench.start(engine, program);
    await bench.clock.advance(100);
    expect((await bench.sagas.get(handle.id))?.owner).toBe(engine.incarnation);
    await bench.clock.advance(1_000);
    expect(await bench.sagas.get(handle.id)).toMatchObject({ owner: null, status: 'waiting' });
    expect(engine.sagasHere).toBe(0);
    await bench.clock.until(handle.result({ timeout: '5m' }));
    expect(failures).toBe(3);
  });

  it('aborts an attempt at its timeout, and takes a success that comes within the bound', async () => {
    const [program] = sagas({
      output: 'a',
      steps: {
        a: {
          timeoutMs: 1_000,
          retry: { attempts: 3 },
          run: ({ context }) =>
            new Promise((resolve) => {
              context.signal.addEventListener('abort', () => {
                bench.clock.after(5_000, () => resolve('late, but there'));
              });
            }),
        },
      },
    });
    if (program === undefined) throw new Error();
    const engine = await bench.engine();
    const handle = await bench.start(engine, program);
    expect(await bench.clock.until(handle.result())).toBe('late, but there');
    expect(program.calls).toEqual(['step a']);
  });

  it('starts no further attempt beside one whose promise is unsettled, up to the bound', async () => {
    let running = 0;
    let most = 0;
    const [program] = sagas({
      steps: {
        a: {
          timeoutMs: 100,
          retry: { attempts: 3 },
          run: async ({ context }) => {
            running += 1;
            most = Math.max(most, running);
            await new Promise((resolve) => {
              context.signal.addEventListener('abort', () =>
                bench.clock.after(10_000, () => resolve(null)),
              );
            });
            running -= 1;
            throw new Error('aborted');
          },
        },
      },
    });
    if (program === undefined) throw new Error();
    const engine = await bench.engine();
    const handle = await bench.start(engine, program);
    await bench.clock.until(handle.outcome({ timeout: '5m' }));
    expect(program.calls.length).toBe(3);
    expect(most).toBe(1);
  });

  it('goes on after the bound although the promise never settles', async () => {
    const [program] = sagas({
      steps: {
        a: {
          timeoutMs: 100,
          retry: { attempts: 2 },
          undo: true,
          run: () => new Promise(() => undefined),
        },
      },
    });
    if (program === undefined) throw new Error();
    const engine = await bench.engine({ settings: { settleBoundMs: 2_000 } });
    const handle = await bench.start(engine, program);
    const outcome = await bench.clock.until(handle.outcome());
    expect(outcome.status).toBe('compensated');
    // A step that was timed out may have happened: it is undone.
    expect(program.calls).toEqual(['step a', 'step a', 'compensation a']);
  });

  it('fails a saga at its deadline, and undoes what it did', async () => {
    const [program] = sagas({
      deadlineMs: 10_000,
      steps: {
        a: { undo: true },
        b: { dependsOn: ['a'], run: ({ context }) => untilAborted(context.signal) },
      },
    });
    if (program === undefined) throw new Error();
    const engine = await bench.engine();
    const handle = await bench.start(engine, program);
    const outcome = await bench.clock.until(handle.outcome());
    expect(outcome).toMatchObject({
      status: 'compensated',
      failure: { cause: { kind: 'deadline' } },
    });
    expect(program.calls).toEqual(['step a', 'step b', 'compensation a']);
  });

  it('stops at a cancel, and undoes; one after the end changes nothing', async () => {
    const [program] = sagas({
      steps: {
        a: { undo: true },
        b: { dependsOn: ['a'], run: ({ context }) => untilAborted(context.signal) },
      },
    });
    if (program === undefined) throw new Error();
    const engine = await bench.engine();
    const handle = await bench.start(engine, program);
    await bench.clock.advance(100);
    await engine.cancel(handle.id, 'changed my mind');
    const outcome = await bench.clock.until(handle.outcome());
    expect(outcome).toMatchObject({
      status: 'compensated',
      failure: { cause: { kind: 'cancelled', reason: 'changed my mind' } },
    });
    await expect(engine.cancel(handle.id)).rejects.toThrow(SagaEndedError);
    await bench.clock.advance(10_000);
    expect((await bench.sagas.get(handle.id))?.status).toBe('compensated');
  });

  it('ends a saga as it is when it is terminated', async () => {
    const [program] = sagas({
      steps: {
        a: { undo: true },
        b: { dependsOn: ['a'], run: () => new Promise(() => undefined) },
      },
    });
    if (program === undefined) throw new Error();
    const engine = await bench.engine();
    const handle = await bench.start(engine, program);
    await bench.clock.advance(100);
    await engine.terminate(handle.id, 'by hand');
    const outcome = await bench.clock.until(handle.outcome());
    expect(outcome).toEqual({ status: 'terminated', reason: 'by hand' });
    expect(program.calls).toEqual(['step a', 'step b']);
  });

  it('runs no more steps at once than there are places, and starts none in the journal without one', async () => {
    let running = 0;
    let most = 0;
    const [program] = sagas({
      steps: {
        a: {
          run: async () => {
            running += 1;
            most = Math.max(most, running);
            await new Promise<void>((resolve) => bench.clock.after(100, resolve));
            running -= 1;
          },
        },
        b: { dependsOn: ['a'] },
      },
    });
    if (program === undefined) throw new Error();
    const engine = await bench.engine({ settings: { maxInFlight: 3 } });
    const handles = await Promise.all(
      Array.from({ length: 12 }, () => bench.start(engine, program)),
    );
    await bench.clock.advance(50);
    let started = 0;
    for (const { id } of handles) {
      started += (await bench.journal(id)).filter((line) => line === 'step_started a').length;
    }
    expect(started).toBe(3);
    await bench.clock.until(Promise.all(handles.map((handle) => handle.result())));
    expect(most).toBe(3);
  });

  it('fails a step that yields what cannot be kept, and undoes it, since its effect is there', async () => {
    const [program] = sagas({
      steps: { a: { run: () => ({ when: new Date() }), undo: true, retry: { attempts: 5 } } },
    });
    if (program === undefined) throw new Error();
    const engine = await bench.engine();
    const outcome = await bench.clock.until((await bench.start(engine, program)).outcome());
    expect(outcome.status).toBe('compensated');
    expect(program.calls).toEqual(['step a', 'compensation a']);
  });
});

function untilAborted(signal: AbortSignal): Promise<never> {
  return new Promise((_resolve, reject) => {
    signal.addEventListener('abort', () => reject(new Error('aborted')));
  });
}
