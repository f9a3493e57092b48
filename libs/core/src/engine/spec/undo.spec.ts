import { afterEach, describe, expect, it } from 'vitest';
import { NonRetryableError } from '../../errors/index.js';
import { EngineBench, Gate, Program, type ProgramOptions } from '../../testing/index.js';
import { controlMail } from '../index.js';

let bench: EngineBench;
afterEach(() => bench.close());

function saga(options: ProgramOptions): Program {
  const program = new Program(options);
  bench = new EngineBench([program]);
  return program;
}

const fails = (): never => {
  throw new NonRetryableError('broken');
};

async function end(program: Program): Promise<{ id: string; status: string }> {
  const engine = await bench.engine();
  const handle = await bench.start(engine, program);
  const outcome = await bench.clock.until(handle.outcome({ timeout: '1h' }));
  return { id: handle.id, status: outcome.status };
}

describe('compensation', () => {
  it('keeps the order through a step that has none', async () => {
    const slow = new Gate();
    const program = saga({
      steps: {
        a: { undo: true },
        none: { dependsOn: ['a'] },
        c: { dependsOn: ['none'], undo: () => slow.pass() },
        d: { dependsOn: ['c'], run: fails },
      },
    });
    const engine = await bench.engine();
    const handle = await bench.start(engine, program);
    await bench.clock.until(slow.reached);
    await bench.clock.settle();
    expect(program.calls).not.toContain('compensation a');
    slow.open();
    expect((await bench.clock.until(handle.outcome())).status).toBe('compensated');
    expect(program.calls.slice(-2)).toEqual(['compensation c', 'compensation a']);
  });

  it('undoes independent branches side by side', async () => {
    const one = new Gate();
    const two = new Gate();
    const program = saga({
      steps: {
        a: { undo: () => one.pass() },
        b: { undo: () => two.pass() },
        c: { dependsOn: ['a', 'b'], run: fails },
      },
    });
    const engine = await bench.engine();
    const handle = await bench.start(engine, program);
    await bench.clock.until(Promise.all([one.reached, two.reached]));
    one.open();
    two.open();
    expect((await bench.clock.until(handle.outcome())).status).toBe('compensated');
  });

  it('does not undo a step that is known to have failed, nor one that never began', async () => {
    const program = saga({
      steps: {
        a: { undo: true },
        b: { dependsOn: ['a'], run: fails, undo: true },
        c: { dependsOn: ['b'], undo: true },
      },
    });
    expect((await end(program)).status).toBe('compensated');
    expect(program.calls).toEqual(['step a', 'step b', 'compensation a']);
  });

  it('undoes a step whose last attempt broke off: the other side may have done it', async () => {
    const program = saga({
      steps: {
        a: {
          undo: true,
          retry: { attempts: 2 },
          run: () => {
            throw new Error('socket hang up');
          },
        },
      },
    });
    expect((await end(program)).status).toBe('compensated');
    expect(program.calls).toEqual(['step a', 'step a', 'compensation a']);
  });

  it('undoes a step one of whose attempts may have had its effect, although the last one failed', async () => {
    let attempts = 0;
    const program = saga({
      steps: {
        a: {
          undo: true,
          timeoutMs: 100,
          retry: { attempts: 2 },
          run: ({ context }) => {
            attempts += 1;
            if (attempts === 2) throw new NonRetryableError('no');
            return new Promise((_resolve, reject) => {
              context.signal.addEventListener('abort', () => reject(new Error('cut off')));
            });
          },
        },
      },
    });
    expect((await end(program)).status).toBe('compensated');
    expect(program.calls).toEqual(['step a', 'step a', 'compensation a']);
  });

  it('retries a compensation, and parks the saga for a person when it gives up', async () => {
    let broken = true;
    let undone = 0;
    const program = saga({
      steps: {
        a: { undo: true },
        b: {
          dependsOn: ['a'],
          undoRetry: { attempts: 3, backoffMs: 100, factor: 1, maxDelayMs: 100 },
          undo: () => {
            undone += 1;
            if (broken) throw new Error('the refund desk is closed');
          },
        },
        c: { dependsOn: ['b'], run: fails },
      },
    });
    const engine = await bench.engine();
    const handle = await bench.start(engine, program);
    const outcome = await bench.clock.until(handle.outcome());
    expect(outcome).toMatchObject({
      status: 'needs_attention',
      reason: 'compensation_failed',
      failure: { cause: { kind: 'step', step: 'c' } },
    });
    expect(undone).toBe(3);
    expect(program.calls).not.toContain('compensation a');
    expect(engine.sagasHere).toBe(0);
    broken = false;
    await engine.retry(handle.id);
    await bench.clock.advance(5_000);
    // By the same handle, which was told otherwise before.
    expect((await bench.clock.until(handle.outcome())).status).toBe('compensated');
    expect(program.calls.slice(-2)).toEqual(['compensation b', 'compensation a']);
  });

  it('undoes what can be undone beside what cannot', async () => {
    const program = saga({
      steps: {
        a: { undo: fails },
        b: { undo: true },
        c: { dependsOn: ['a', 'b'], run: fails },
      },
    });
    expect((await end(program)).status).toBe('needs_attention');
    expect(program.calls).toContain('compensation b');
  });

  it('undoes once more what came with success after it had been given up and undone', async () => {
    const late = new Gate();
    const slowUndo = new Gate();
    const program = saga({
      steps: {
        charge: {
          timeoutMs: 100,
          undo: true,
          run: async () => {
            await late.opened;
            return 'charged after all';
          },
        },
        other: { undo: () => slowUndo.pass() },
      },
    });
    const engine = await bench.engine({ settings: { settleBoundMs: 1_000 } });
    const handle = await bench.start(engine, program);
    await bench.clock.advance(2_000);
    expect(program.calls).toContain('compensation charge');
    late.open();
    await bench.clock.settle();
    slowUndo.open();
    expect((await bench.clock.until(handle.outcome())).status).toBe('compensated');
    expect(program.calls.filter((call) => call === 'compensation charge').length).toBe(2);
    expect(await bench.journal(handle.id)).toContain('step_late_success charge');
  });

  it('asks for a person when an effect comes after the saga is over', async () => {
    const late = new Gate();
    const program = saga({
      steps: {
        charge: {
          timeoutMs: 100,
          undo: true,
          run: async () => {
            await late.opened;
            return 'charged after all';
          },
        },
      },
    });
    const engine = await bench.engine({ settings: { settleBoundMs: 1_000 } });
    const handle = await bench.start(engine, program);
    expect((await bench.clock.until(handle.outcome())).status).toBe('compensated');
    late.open();
    await bench.clock.advance(100);
    expect((await bench.sagas.get(handle.id))?.status).toBe('needs_attention');
    await engine.retry(handle.id);
    await bench.clock.advance(2_000);
    expect((await bench.sagas.get(handle.id))?.status).toBe('compensated');
    expect(program.calls.filter((call) => call === 'compensation charge').length).toBe(2);
  });

  it('asks for nobody when an earlier attempt of what completed ends with success after the saga', async () => {
    const gate = new Gate();
    const program = saga({
      steps: {
        slow: {
          undo: true,
          timeoutMs: 1_000,
          retry: { attempts: 2, backoffMs: 10, factor: 1, maxDelayMs: 10 },
          run: ({ context }) => (context.attempt === 1 ? gate.pass() : 'done'),
        },
      },
    });
    const engine = await bench.engine({ settings: { settleBoundMs: 2_000 } });
    const handle = await bench.start(engine, program);
    await bench.clock.advance(10_000);
    expect((await bench.sagas.get(handle.id))?.status).toBe('completed');
    gate.open();
    await bench.clock.advance(10_000);
    // The same effect by the same key, which is wanted.
    expect(await bench.sagas.get(handle.id)).toMatchObject({ status: 'completed', owner: null });
  });

  it('undoes once more what an earlier attempt did after the undo of a later one', async () => {
    const late = new Gate();
    const other = new Gate();
    const program = saga({
      steps: {
        slow: {
          undo: true,
          timeoutMs: 1_000,
          retry: { attempts: 2, backoffMs: 10, factor: 1, maxDelayMs: 10 },
          run: ({ context }) => (context.attempt === 1 ? late.pass() : 'done'),
        },
        first: { undo: () => other.pass() },
        bad: { dependsOn: ['slow', 'first'], run: () => Promise.reject(new Error('no')) },
      },
    });
    const engine = await bench.engine({ settings: { settleBoundMs: 2_000 } });
    const handle = await bench.start(engine, program);
    await bench.clock.advance(10_000);
    expect(program.calls).toContain('compensation slow');
    late.open();
    await bench.clock.advance(1_000);
    other.open();
    await bench.clock.advance(5_000);
    expect((await bench.sagas.get(handle.id))?.status).toBe('compensated');
    expect(program.calls.filter((call) => call === 'compensation slow')).toHaveLength(2);
  });

  it('asks for nobody when only mail comes after the saga is over, and lets go of it in the end', async () => {
    const late = new Gate();
    const program = saga({
      steps: { charge: { timeoutMs: 100, undo: true, run: () => late.pass().then(fails) } },
    });
    const engine = await bench.engine({ settings: { settleBoundMs: 1_000 } });
    const handle = await bench.start(engine, program);
    expect((await bench.clock.until(handle.outcome())).status).toBe('compensated');
    await bench.sagas.putMail([controlMail(handle.id, program.definition, 'cancel', 'too late')]);
    await bench.clock.advance(100);
    expect((await bench.sagas.get(handle.id))?.status).toBe('compensated');
    late.open();
    await bench.clock.advance(100);
    expect(await bench.sagas.get(handle.id)).toMatchObject({ status: 'compensated', owner: null });
  });

  it('keeps all errors: the first as the cause, the others beside it', async () => {
    const first = new Gate();
    const second = new Gate();
    const program = saga({
      failureStrategy: 'wait-all',
      steps: {
        a: { run: () => first.pass().then(fails) },
        b: {
          run: async () => {
            await second.pass();
            throw new NonRetryableError('second');
          },
        },
      },
    });
    const engine = await bench.engine();
    const handle = await bench.start(engine, program);
    await bench.clock.until(Promise.all([first.reached, second.reached]));
    first.open();
    await bench.clock.settle();
    second.open();
    const outcome = await bench.clock.until(handle.outcome());
    expect(outcome).toMatchObject({
      failure: {
        cause: { step: 'a', error: { message: 'broken' } },
        others: [{ step: 'b', error: { message: 'second' } }],
      },
    });
  });
});
