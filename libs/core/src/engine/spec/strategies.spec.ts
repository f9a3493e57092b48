import { afterEach, describe, expect, it } from 'vitest';
import { NonRetryableError } from '../../errors/index.js';
import { EngineBench, Program, type ProgramOptions } from '../../testing/index.js';

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

describe('when a branch fails', () => {
  const graph = (
    failureStrategy: ProgramOptions['failureStrategy'],
    graceMs = 0,
  ): ProgramOptions => ({
    ...(failureStrategy === undefined ? {} : { failureStrategy }),
    graceMs,
    steps: {
      bad: { run: fails },
      sibling: {
        undo: true,
        run: ({ context }) =>
          new Promise((resolve, reject) => {
            bench.clock.after(1_000, () => resolve('done'));
            context.signal.addEventListener('abort', () => reject(new Error('aborted')));
          }),
      },
      next: { dependsOn: ['sibling'], undo: true },
    },
  });

  it('fail-fast aborts its siblings at once and undoes what they may have done', async () => {
    const program = saga(graph('fail-fast'));
    const engine = await bench.engine();
    const handle = await bench.start(engine, program);
    await bench.clock.advance(50);
    expect((await bench.sagas.get(handle.id))?.status).toBe('compensated');
    expect(program.calls).toEqual(['step bad', 'step sibling', 'compensation sibling']);
  });

  it('wait-all lets running siblings end, and starts nothing new', async () => {
    const program = saga(graph('wait-all'));
    const engine = await bench.engine();
    const handle = await bench.start(engine, program);
    await bench.clock.advance(900);
    expect((await bench.sagas.get(handle.id))?.status).toBe('running');
    await bench.clock.advance(200);
    expect((await bench.sagas.get(handle.id))?.status).toBe('compensated');
    expect(await bench.journal(handle.id)).toContain('step_completed sibling');
    expect(program.calls).not.toContain('step next');
  });

  it('fail-fast-with-grace waits for siblings as long as the grace lasts', async () => {
    for (const [graceMs, journaled] of [
      [2_000, 'step_completed sibling'],
      [300, 'step_unknown sibling'],
    ] as const) {
      const program = saga(graph('fail-fast-with-grace', graceMs));
      const engine = await bench.engine();
      const handle = await bench.start(engine, program);
      await bench.clock.advance(200);
      expect((await bench.sagas.get(handle.id))?.status).toBe('running');
      await bench.clock.advance(1_500);
      expect((await bench.sagas.get(handle.id))?.status).toBe('compensated');
      expect(await bench.journal(handle.id)).toContain(journaled);
    }
  });
});
