import { afterEach, describe, expect, it } from 'vitest';
import type { SagaStore } from '../../ports/index.js';
import { EngineBench, Gate, Program, type ProgramOptions } from '../../testing/index.js';

let bench: EngineBench;
afterEach(() => bench.close());

function saga(options: ProgramOptions): Program {
  const program = new Program(options);
  bench = new EngineBench([program]);
  return program;
}

/** A store whose row is locked by somebody else when the first transaction wants to commit. */
function busyOnce(sagas: SagaStore): SagaStore {
  let busy = true;
  return new Proxy(sagas, {
    get(target, property) {
      const method: unknown = Reflect.get(target, property);
      if (typeof method !== 'function') return method;
      if (property !== 'apply' || !busy) return method.bind(target) as unknown;
      busy = false;
      return () => Promise.resolve({ kind: 'busy' });
    },
  });
}

describe('a transactional step that the database asks for again', () => {
  it('keeps its timeout: a second run that hangs fails', async () => {
    let runs = 0;
    const program = saga({
      steps: {
        a: {
          transactional: true,
          timeoutMs: 1_000,
          run: () => {
            runs += 1;
            return runs === 1 ? 'first' : new Promise(() => undefined);
          },
        },
      },
    });
    const engine = await bench.engine({
      settings: { settleBoundMs: 2_000 },
      store: busyOnce,
    });
    const handle = await bench.start(engine, program);
    await bench.clock.advance(10_000);
    expect(runs).toBe(2);
    expect(await bench.journal(handle.id)).toContain('step_failed a');
    expect((await bench.sagas.get(handle.id))?.status).toBe('compensated');
    bench.kill(engine);
  });

  it('is aborted in its second run too, when its saga fails elsewhere', async () => {
    let runs = 0;
    const again = new Gate();
    const program = saga({
      steps: {
        a: {
          transactional: true,
          run: async ({ context }) => {
            runs += 1;
            if (runs === 1) return;
            again.open();
            await new Promise((_resolve, reject) => {
              context.signal.addEventListener('abort', () => reject(new Error('told to stop')));
            });
          },
        },
        bad: { run: () => again.opened.then(() => Promise.reject(new Error('no'))) },
      },
    });
    const engine = await bench.engine({
      store: busyOnce,
    });
    const handle = await bench.start(engine, program);
    await bench.clock.advance(5_000);
    expect((await bench.sagas.get(handle.id))?.status).toBe('compensated');
    bench.kill(engine);
  });

  it('holds the turn of its saga for a bounded time: a run that hangs can still be cancelled', async () => {
    let runs = 0;
    const program = saga({
      steps: {
        a: {
          transactional: true,
          run: () => {
            runs += 1;
            if (runs > 2) return new Promise(() => undefined);
            throw Object.assign(new Error('serialization'), { code: '40001' });
          },
        },
      },
    });
    const engine = await bench.engine({ settings: { settleBoundMs: 2_000 } });
    const handle = await bench.start(engine, program);
    await bench.clock.advance(100);
    expect(runs).toBe(3);
    await engine.cancel(handle.id);
    await bench.clock.advance(10_000);
    expect((await bench.sagas.get(handle.id))?.status).toBe('compensated');
    bench.kill(engine);
  });

  it('is given back and not run once more when the engine shuts down, and fails by no deploy', async () => {
    const gate = new Gate();
    let runs = 0;
    const program = saga({
      steps: {
        a: {
          transactional: true,
          run: async () => {
            runs += 1;
            if (runs > 1) return;
            await gate.pass();
            throw Object.assign(new Error('serialization'), { code: '40001' });
          },
        },
      },
    });
    const old = await bench.engine();
    const handle = await bench.start(old, program);
    await bench.clock.until(gate.reached);
    const closed = old.close();
    await bench.clock.settle();
    gate.open();
    await bench.clock.until(closed);
    expect(runs).toBe(1);
    expect(await bench.journal(handle.id)).toContain('step_released a');
    const heir = await bench.engine();
    expect((await bench.clock.until(heir.handle(handle.id).outcome())).status).toBe('completed');
  });

  it('follows a lost race ever later, for a minute at most, and then counts as a failed attempt', async () => {
    const begun: number[] = [];
    const program = saga({
      steps: {
        a: {
          transactional: true,
          run: async () => {
            begun.push(bench.clock.now());
            await new Promise<void>((resolve) => bench.clock.after(8_000, resolve));
            throw Object.assign(new Error('serialization'), { code: '40001' });
          },
        },
      },
    });
    const engine = await bench.engine();
    const handle = await bench.start(engine, program);
    await bench.clock.advance(76_000);
    const journal = await bench.journal(handle.id);
    expect(journal.some((entry) => entry.includes('failed'))).toBe(true);
    const pauses = begun.slice(1, 8).map((at, n) => at - (begun[n] ?? 0) - 8_000);
    // Ten milliseconds, doubled each time, half of it random.
    pauses.forEach((ms, n) => expect(ms).toBeGreaterThanOrEqual(5 * 2 ** n));
    bench.kill(engine);
  });
});
