import { afterEach, describe, expect, it } from 'vitest';
import { NonRetryableError } from '../../errors/index.js';
import { command, defineCommand } from '../../messaging/index.js';
import { EngineBench, Gate, Program, type ProgramOptions } from '../../testing/index.js';
import type { SagaEngine } from '../index.js';
import { replyTo } from './commands.fixture.js';

const Do = defineCommand<{ n: number }, string>()('party.do');

let bench: EngineBench;
afterEach(() => bench.close());

const fails = (): never => {
  throw new NonRetryableError('broken');
};
const ask = (): unknown => command(Do, { n: 1 });

async function started(options: ProgramOptions): Promise<{
  program: Program;
  engine: SagaEngine;
  id: string;
  status: () => Promise<string | undefined>;
}> {
  const program = new Program(options);
  bench = new EngineBench([program]);
  const engine = await bench.engine({ settings: { settleBoundMs: 1_000 } });
  const { id } = await bench.start(engine, program);
  await bench.clock.advance(100);
  return { program, engine, id, status: async () => (await bench.sagas.get(id))?.status };
}

const MINUTE = 60_000;

describe('an answer that comes when nobody expects it any more', () => {
  const pivot: ProgramOptions = {
    output: 'pay',
    steps: { a: { undo: true }, pay: { dependsOn: ['a'], pivot: true, run: ask } },
  };

  it('settles a pivot in doubt by its "ok", and the saga completes', async () => {
    const { id, engine, status } = await started(pivot);
    await bench.clock.advance(5 * MINUTE);
    expect(await status()).toBe('needs_attention');
    await replyTo(bench, bench.sent[0], 'ok', 'paid');
    await bench.clock.advance(2_000);
    expect(await bench.clock.until(engine.handle(id).outcome())).toEqual({
      status: 'completed',
      output: 'paid',
    });
  });

  it('settles a pivot in doubt by its "no", and the saga undoes', async () => {
    const { id, engine, program } = await started(pivot);
    await bench.clock.advance(5 * MINUTE);
    await replyTo(bench, bench.sent[0], 'refused', { reason: 'no_money' });
    await bench.clock.advance(2_000);
    expect(await bench.clock.until(engine.handle(id).outcome())).toMatchObject({
      status: 'compensated',
      failure: { cause: { step: 'pay', error: { reason: 'no_money' } }, others: [] },
    });
    expect(program.calls).toContain('compensation a');
  });

  it('settles it also while the others come to rest', async () => {
    const slow = new Gate();
    const { status } = await started({
      failureStrategy: 'wait-all',
      steps: { pay: { pivot: true, run: ask }, beside: { run: () => slow.pass() } },
    });
    await bench.clock.advance(5 * MINUTE);
    expect(await status()).toBe('running');
    await replyTo(bench, bench.sent[0], 'ok', 'paid');
    await bench.clock.advance(2_000);
    slow.open();
    await bench.clock.advance(2_000);
    expect(await status()).toBe('completed');
  });

  it('does not settle it by a failure, which is no answer', async () => {
    const { status } = await started(pivot);
    await bench.clock.advance(5 * MINUTE);
    await replyTo(bench, bench.sent[0], 'failed', { reason: 'exhausted' });
    await bench.clock.advance(2_000);
    expect(await status()).toBe('needs_attention');
  });

  it('settles an undo that had given up', async () => {
    const { status } = await started({
      steps: { a: { undo: ask }, b: { dependsOn: ['a'], run: fails } },
    });
    await bench.clock.advance(5 * MINUTE);
    expect(await status()).toBe('needs_attention');
    await replyTo(bench, bench.sent[0], 'ok', undefined);
    await bench.clock.advance(2_000);
    expect(await status()).toBe('compensated');
  });

  it('settles a recovery that had given up', async () => {
    const { status } = await started({
      steps: { pay: { pivot: true }, ship: { dependsOn: ['pay'], run: fails, recover: ask } },
    });
    await bench.clock.advance(5 * MINUTE);
    expect(await status()).toBe('needs_attention');
    await replyTo(bench, bench.sent[0], 'ok', 'by hand');
    await bench.clock.advance(2_000);
    expect(await status()).toBe('completed');
  });

  it('is taken between two attempts, and nothing is sent again', async () => {
    const { status } = await started({
      steps: {
        pay: {
          pivot: true,
          run: ask,
          retry: { attempts: 3, backoffMs: 10 * MINUTE, maxDelayMs: 10 * MINUTE },
        },
      },
    });
    await bench.clock.advance(2 * MINUTE);
    await replyTo(bench, bench.sent[0], 'ok', 'paid');
    await bench.clock.advance(2_000);
    expect(await status()).toBe('completed');
    expect(bench.sent).toHaveLength(1);
  });
});

describe('a success that comes late', () => {
  for (const where of ['pivot', 'recovery'] as const) {
    it(`settles a ${where} in doubt, and the saga completes`, async () => {
      const late = new Gate();
      const { status } = await started({
        steps:
          where === 'pivot'
            ? { pay: { pivot: true, timeoutMs: 1_000, run: () => late.pass() } }
            : {
                pay: { pivot: true },
                ship: {
                  dependsOn: ['pay'],
                  timeoutMs: 1_000,
                  run: fails,
                  recover: () => late.pass(),
                },
              },
      });
      await bench.clock.advance(10_000);
      expect(await status()).toBe('needs_attention');
      late.open();
      await bench.clock.advance(2_000);
      expect(await status()).toBe('completed');
    });
  }

  for (const where of ['step', 'recovery', 'compensation'] as const) {
    it(`leaves a trace where a person ended the saga meanwhile (${where})`, async () => {
      const late = new Gate();
      const steps: Record<typeof where, ProgramOptions['steps']> = {
        step: { a: { run: () => late.pass() } },
        recovery: {
          pay: { pivot: true },
          a: { dependsOn: ['pay'], run: fails, recover: () => late.pass() },
        },
        compensation: { a: { undo: () => late.pass() }, b: { dependsOn: ['a'], run: fails } },
      };
      const { engine, id } = await started({ steps: steps[where] });
      await bench.clock.until(late.reached);
      await engine.terminate(id, 'by hand');
      await bench.clock.advance(60_000);
      expect(await bench.sagas.get(id)).toMatchObject({ status: 'terminated', owner: null });
      late.open();
      await bench.clock.advance(2_000);
      expect(await bench.journal(id)).toContain(`${where}_late_success a`);
      expect(await bench.sagas.get(id)).toMatchObject({ status: 'terminated', owner: null });
      expect(engine.sagasHere).toBe(0);
    });
  }
});

describe('a saga that has ended while promises of it never settle', () => {
  it('lets go of its row and its room at once, and another process hears of the effect', async () => {
    const late = new Gate();
    const never = { undo: true, timeoutMs: 1_000, run: () => late.pass() } as const;
    const program = new Program({ steps: { a: never } });
    bench = new EngineBench([program]);
    const engine = await bench.engine({ settings: { settleBoundMs: 1_000, maxSagas: 2 } });
    const ids: string[] = [];
    for (let i = 0; i < 20; i += 1) {
      ids.push((await bench.start(engine, program)).id);
      await bench.clock.advance(3_000);
      expect(engine.sagasHere).toBe(0);
    }
    for (const id of ids) {
      expect(await bench.sagas.get(id)).toMatchObject({ status: 'compensated', owner: null });
    }
    late.open();
    await bench.clock.advance(5_000);
    for (const id of ids) {
      expect(await bench.sagas.get(id)).toMatchObject({ status: 'needs_attention', owner: null });
    }
  });
});
