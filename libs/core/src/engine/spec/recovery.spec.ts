import { afterEach, describe, expect, it } from 'vitest';
import { NonRetryableError } from '../../errors/index.js';
import { EngineBench, Gate, Program, type Behaviour } from '../../testing/index.js';

let bench: EngineBench;
afterEach(() => bench.close());

const fails = (): never => {
  throw new NonRetryableError('broken');
};
/** Ends as unknown: the other side may have done it. */
const breaksOff = (): never => {
  throw new Error('socket hang up');
};

/** A pivot, a step whose recovery gives up, and beside it one that fails and has no recovery. */
function threatened(recover: Behaviour, mail: Behaviour): Program {
  const program = new Program({
    steps: {
      pay: { pivot: true },
      ship: { dependsOn: ['pay'], run: fails, recover },
      mail: { dependsOn: ['pay'], run: mail },
      note: { undo: true },
    },
  });
  bench = new EngineBench([program]);
  return program;
}

describe('a recovery that gives up beside a step that fails and has none', () => {
  for (const [end, recover] of [
    ['fails', fails],
    ['ends as unknown', breaksOff],
  ] as const) {
    for (const first of ['recovery', 'sibling'] as const) {
      it(`asks for a person (it ${end}; the ${first} ends first)`, async () => {
        const gate = new Gate();
        const later =
          (behaviour: Behaviour): Behaviour =>
          async (call) => {
            await gate.pass();
            return behaviour(call);
          };
        const program = threatened(
          first === 'recovery' ? recover : later(recover),
          first === 'sibling' ? fails : later(fails),
        );
        const engine = await bench.engine();
        const handle = await bench.start(engine, program);
        await bench.clock.advance(1_000);
        gate.open();
        const outcome = await bench.clock.until(handle.outcome({ timeout: '1h' }));
        expect(outcome).toMatchObject({ status: 'needs_attention', reason: 'recovery_failed' });
        expect(program.calls).not.toContain('compensation note');
      });
    }
  }

  it('gets its attempts anew at a retry, and what the pivot leaves is undone then', async () => {
    let mended = false;
    const program = threatened(() => (mended ? 'by hand' : breaksOff()), fails);
    const engine = await bench.engine();
    const handle = await bench.start(engine, program);
    expect((await bench.clock.until(handle.outcome())).status).toBe('needs_attention');
    mended = true;
    await engine.retry(handle.id);
    await bench.clock.advance(5_000);
    expect((await bench.clock.until(handle.outcome())).status).toBe('partially_committed');
    expect(program.calls.slice(-2)).toEqual(['recovery ship', 'compensation note']);
  });

  it('is given up by a cancel, where nobody can make it succeed', async () => {
    const program = threatened(breaksOff, fails);
    const engine = await bench.engine();
    const handle = await bench.start(engine, program);
    expect((await bench.clock.until(handle.outcome())).status).toBe('needs_attention');
    await engine.cancel(handle.id);
    await bench.clock.advance(5_000);
    expect((await bench.clock.until(handle.outcome())).status).toBe('partially_committed');
    expect(program.calls).toContain('compensation note');
  });
});
