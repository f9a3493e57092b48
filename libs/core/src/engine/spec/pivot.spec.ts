import { afterEach, describe, expect, it } from 'vitest';
import { NonRetryableError } from '../../errors/index.js';
import { EngineBench, Gate, Program, type ProgramOptions } from '../../testing/index.js';

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

describe('behind a pivot', () => {
  it('undoes neither the pivot nor what it stands on, and ends as partially committed', async () => {
    const program = saga({
      steps: {
        a: { undo: true },
        pay: { dependsOn: ['a'], pivot: true },
        ship: { dependsOn: ['pay'], run: fails },
      },
    });
    expect((await end(program)).status).toBe('partially_committed');
    expect(program.calls).toEqual(['step a', 'step pay', 'step ship']);
  });

  it('goes forward by recovery where there is one, and completes', async () => {
    const program = saga({
      output: 'last',
      steps: {
        pay: { pivot: true },
        ship: { dependsOn: ['pay'], run: fails, recover: () => 'by hand' },
        last: {
          dependsOn: ['ship'],
          run: ({ context }): unknown =>
            Reflect.apply(Reflect.get(context, 'result') as () => unknown, context, ['ship']),
        },
      },
    });
    const engine = await bench.engine();
    const handle = await bench.start(engine, program);
    expect(await bench.clock.until(handle.result())).toBe('by hand');
    expect(program.calls).toEqual(['step pay', 'step ship', 'recovery ship', 'step last']);
  });

  it('does not abort a started pivot when a sibling fails, and keeps what it committed', async () => {
    const paying = new Gate();
    const program = saga({
      steps: {
        a: { undo: true },
        pay: {
          dependsOn: ['a'],
          pivot: true,
          run: async ({ context }) => {
            await paying.pass();
            context.signal.throwIfAborted();
          },
        },
        other: { dependsOn: ['a'], run: () => paying.reached.then(fails) },
        beside: { undo: true },
      },
    });
    const engine = await bench.engine();
    const handle = await bench.start(engine, program);
    await bench.clock.until(paying.reached);
    await bench.clock.advance(5_000);
    expect((await bench.sagas.get(handle.id))?.status).toBe('running');
    paying.open();
    const outcome = await bench.clock.until(handle.outcome());
    expect(outcome.status).toBe('partially_committed');
    expect(program.calls).not.toContain('compensation a');
    expect(program.calls).toContain('compensation beside');
  });

  it('settles a pivot in doubt by the same key, and asks for a person when that fails', async () => {
    const keys: string[] = [];
    const program = saga({
      steps: {
        a: { undo: true },
        pay: {
          dependsOn: ['a'],
          pivot: true,
          timeoutMs: 100,
          retry: { attempts: 3 },
          run: ({ context }) => {
            keys.push(context.idempotencyKey);
            return new Promise((_resolve, reject) => {
              context.signal.addEventListener('abort', () => reject(new Error('cut off')));
            });
          },
        },
      },
    });
    const engine = await bench.engine();
    const handle = await bench.start(engine, program);
    const outcome = await bench.clock.until(handle.outcome());
    expect(outcome).toMatchObject({ status: 'needs_attention', reason: 'pivot_unknown' });
    expect(new Set(keys)).toEqual(new Set([`${handle.id}:pay`]));
    expect(keys.length).toBe(3);
    expect(program.calls).not.toContain('compensation a');
  });

  it('lets an operator try a pivot in doubt once more, and completes when it succeeds', async () => {
    let works = false;
    const program = saga({
      output: 'pay',
      steps: {
        pay: {
          pivot: true,
          timeoutMs: 100,
          run: ({ context }) =>
            works
              ? 'paid'
              : new Promise((_resolve, reject) => {
                  context.signal.addEventListener('abort', () => reject(new Error('cut off')));
                }),
        },
      },
    });
    const engine = await bench.engine();
    const handle = await bench.start(engine, program);
    expect((await bench.clock.until(handle.outcome())).status).toBe('needs_attention');
    works = true;
    await engine.retry(handle.id);
    await bench.clock.advance(2_000);
    expect((await bench.sagas.get(handle.id))?.status).toBe('completed');
  });

  it('parks a saga whose recovery gives up', async () => {
    const program = saga({
      steps: { pay: { pivot: true }, ship: { dependsOn: ['pay'], run: fails, recover: fails } },
    });
    const engine = await bench.engine();
    const handle = await bench.start(engine, program);
    const outcome = await bench.clock.until(handle.outcome());
    expect(outcome).toMatchObject({ status: 'needs_attention', reason: 'recovery_failed' });
  });
});
