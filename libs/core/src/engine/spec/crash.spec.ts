import { afterEach, describe, expect, it } from 'vitest';
import type { SagaEngine } from '../index.js';
import { EngineBench, Gate, Program, type ProgramOptions } from '../../testing/index.js';

let bench: EngineBench;
afterEach(() => bench.close());

const TTL = 15_000;
/** By when a dead engine is declared dead and its sagas are taken. */
const TAKEN_OVER = 5 * TTL;

function saga(options: ProgramOptions): Program {
  const program = new Program(options);
  bench = new EngineBench([program]);
  return program;
}

describe('when an engine dies', () => {
  it('another one goes on where the journal ends', async () => {
    const hang = new Gate();
    let first = true;
    const program = saga({
      output: 'c',
      steps: {
        a: {},
        b: {
          dependsOn: ['a'],
          run: () => {
            if (!first) return 'b';
            first = false;
            return hang.pass();
          },
        },
        c: { dependsOn: ['b'] },
      },
    });
    const dead = await bench.engine();
    const handle = await bench.start(dead, program);
    await bench.clock.until(hang.reached);
    bench.kill(dead);
    const heir = await bench.engine();
    await bench.clock.advance(TAKEN_OVER);
    expect(await bench.clock.until(heir.handle(handle.id).result())).toBe('c');
    expect(program.calls).toEqual(['step a', 'step b', 'step b', 'step c']);
    expect(await bench.journal(handle.id)).toContain('step_crashed b');
  });

  it('gives the repeated step the same key', async () => {
    const keys: string[] = [];
    const hang = new Gate();
    const program = saga({
      steps: {
        a: {
          run: ({ context }) => {
            keys.push(context.idempotencyKey);
            return keys.length === 1 ? hang.pass() : undefined;
          },
        },
      },
    });
    const dead = await bench.engine();
    const handle = await bench.start(dead, program);
    await bench.clock.until(hang.reached);
    bench.kill(dead);
    const heir = await bench.engine();
    await bench.clock.advance(TAKEN_OVER);
    await bench.clock.until(heir.handle(handle.id).result());
    expect(keys).toEqual([`${handle.id}:a`, `${handle.id}:a`]);
  });

  it('a compensation that was under way is resumed, and the rest follows', async () => {
    const hang = new Gate();
    let first = true;
    const program = saga({
      steps: {
        a: { undo: true },
        b: {
          dependsOn: ['a'],
          undo: () => {
            if (!first) return;
            first = false;
            return hang.pass();
          },
        },
        c: { dependsOn: ['b'], run: () => Promise.reject(new Error('no')) },
      },
    });
    const dead = await bench.engine();
    const handle = await bench.start(dead, program);
    await bench.clock.until(hang.reached);
    bench.kill(dead);
    const heir = await bench.engine();
    await bench.clock.advance(TAKEN_OVER);
    expect((await bench.clock.until(heir.handle(handle.id).outcome())).status).toBe('compensated');
    expect(program.calls.slice(-2)).toEqual(['compensation b', 'compensation a']);
  });

  it('a step that kills every process has an unknown outcome after maxCrashes, and is undone', async () => {
    const engines: SagaEngine[] = [];
    const program = saga({
      maxCrashes: 3,
      steps: {
        a: { undo: true },
        killer: {
          dependsOn: ['a'],
          undo: true,
          run: () => {
            for (const engine of engines) bench.kill(engine);
          },
        },
      },
    });
    engines.push(await bench.engine());
    const handle = await bench.start(engines[0] as SagaEngine, program);
    await bench.clock.advance(10);
    let ended = false;
    for (let life = 0; life < 8 && !ended; life += 1) {
      engines.push(await bench.engine());
      await bench.clock.advance(TAKEN_OVER);
      ended = (await bench.sagas.get(handle.id))?.status === 'compensated';
    }
    expect(ended).toBe(true);
    expect(program.calls.filter((call) => call === 'step killer')).toHaveLength(3);
    expect(program.calls.slice(-2)).toEqual(['compensation killer', 'compensation a']);
  });

  it('the innocent in flight beside a killer all complete', async () => {
    const engines: SagaEngine[] = [];
    const innocent = new Program({
      maxCrashes: 3,
      steps: {
        a: { run: () => new Promise((resolve) => bench.clock.after(200, () => resolve(1))) },
      },
    });
    const guilty = new Program({
      maxCrashes: 3,
      steps: {
        a: {
          run: () =>
            new Promise(() => {
              bench.clock.after(100, () => {
                for (const engine of engines) bench.kill(engine);
              });
            }),
        },
      },
    });
    bench = new EngineBench([innocent, guilty]);
    engines.push(await bench.engine());
    const first = engines[0] as SagaEngine;
    const handles = await Promise.all(
      Array.from({ length: 40 }, () => bench.start(first, innocent)),
    );
    const killer = await bench.start(first, guilty);
    for (let life = 0; life < 12; life += 1) {
      engines.push(await bench.engine());
      await bench.clock.advance(TAKEN_OVER);
    }
    const last = await bench.engine();
    await bench.clock.advance(4 * TAKEN_OVER);
    for (const handle of handles) {
      expect((await bench.sagas.get(handle.id))?.status).toBe('completed');
    }
    expect((await bench.clock.until(last.handle(killer.id).outcome())).status).toBe('compensated');
  });

  it('a saga whose start was committed and not answered is found by the engine itself', async () => {
    const program = saga({ steps: { a: {} } });
    let lose = true;
    const engine = await bench.engine({
      store: (sagas) =>
        new Proxy(sagas, {
          get(target, property) {
            const method: unknown = Reflect.get(target, property);
            if (typeof method !== 'function') return method;
            return async (...given: unknown[]): Promise<unknown> => {
              const answer: unknown = await Reflect.apply(method, target, given);
              if (property === 'claim' && lose && Array.isArray(answer) && answer.length > 0) {
                lose = false;
                throw new Error('The answer was lost.');
              }
              return answer;
            };
          },
        }),
    });
    const idle = bench.idleEngine();
    const handle = await bench.start(idle, program);
    await bench.clock.advance(100);
    expect((await bench.sagas.get(handle.id))?.owner).toBe(engine.incarnation);
    await bench.clock.advance(30_000);
    expect((await bench.sagas.get(handle.id))?.status).toBe('completed');
    expect(await bench.journal(handle.id)).not.toContain('step_crashed a');
  });
});

describe('a graceful shutdown', () => {
  it('lets running steps end, gives the rest back, and counts no crash', async () => {
    const program = saga({
      output: 'b',
      steps: {
        a: { run: () => new Promise((resolve) => bench.clock.after(2_000, () => resolve(1))) },
        b: { dependsOn: ['a'] },
      },
    });
    const engine = await bench.engine();
    const handle = await bench.start(engine, program);
    await bench.clock.advance(100);
    await bench.clock.until(engine.close());
    expect(await bench.sagas.get(handle.id)).toMatchObject({ owner: null });
    expect(program.calls).toEqual(['step a']);
    const heir = await bench.engine();
    expect(await bench.clock.until(heir.handle(handle.id).result())).toBe('b');
    expect(program.calls).toEqual(['step a', 'step b']);
    const journal = await bench.journal(handle.id);
    expect(journal.filter((line) => line.includes('crashed'))).toEqual([]);
  });

  it('fails no step for a shutdown, however short the bound for steps that are given up', async () => {
    const gate = new Gate();
    const program = saga({
      steps: { slow: { undo: true, run: () => gate.pass() } },
    });
    const old = await bench.engine({ settings: { shutdownMs: 10_000, settleBoundMs: 100 } });
    const handle = await bench.start(old, program);
    await bench.clock.until(gate.reached);
    await bench.clock.until(old.close());
    expect(await bench.journal(handle.id)).toContain('step_released slow');
    gate.open();
    const heir = await bench.engine();
    const { status } = await bench.clock.until(heir.handle(handle.id).outcome());
    expect(status).toBe('completed');
  });

  it('gives back a step that does not end within its time, and its later success reaches the heir', async () => {
    const hang = new Gate();
    let runs = 0;
    const program = saga({
      steps: {
        a: {
          undo: true,
          run: async () => {
            runs += 1;
            if (runs > 1) throw new Error('refused');
            await hang.pass();
            return 'done by the old one';
          },
        },
      },
    });
    const engine = await bench.engine({ settings: { shutdownMs: 5_000 } });
    const handle = await bench.start(engine, program);
    await bench.clock.until(hang.reached);
    const before = bench.clock.now();
    await bench.clock.until(engine.close());
    expect(bench.clock.now() - before).toBeLessThanOrEqual(5_000);
    const journal = await bench.journal(handle.id);
    expect(journal).toContain('step_released a');
    expect(journal).not.toContain('step_crashed a');
    hang.open();
    await bench.clock.settle();
    const heir = await bench.engine();
    const outcome = await bench.clock.until(heir.handle(handle.id).outcome());
    expect(outcome.status).toBe('compensated');
    expect(program.calls).toContain('compensation a');
  });
});
