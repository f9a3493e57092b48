import { afterEach, describe, expect, it } from 'vitest';
import { EngineBench, Gate, Program, type ProgramOptions } from '../../testing/index.js';

let bench: EngineBench;
afterEach(() => bench.close());

const TTL = 15_000;

function saga(options: ProgramOptions): Program {
  const program = new Program(options);
  bench = new EngineBench([program]);
  return program;
}

describe('the heartbeat of an engine', () => {
  it('lets no step start once it is older than its time to live', async () => {
    const gate = new Gate();
    const program = saga({ steps: { a: { run: () => gate.pass() }, b: { dependsOn: ['a'] } } });
    const registry = bench.engines;
    const beat = registry.beat.bind(registry);
    let away = false;
    registry.beat = (incarnation) => (away ? Promise.reject(new Error('away')) : beat(incarnation));
    const engine = await bench.engine();
    const handle = await bench.start(engine, program);
    await bench.clock.until(gate.reached);
    away = true;
    await bench.clock.advance(2 * TTL);
    gate.open();
    await bench.clock.advance(5_000);
    expect(program.calls).toEqual(['step a']);
    away = false;
    await bench.clock.until(handle.result({ timeout: '5m' }));
    expect(program.calls).toEqual(['step a', 'step b']);
  });

  it('lets go on what had to wait while it had no answer', async () => {
    const gate = new Gate();
    const beating = new Gate();
    const program = saga({ steps: { a: { run: () => gate.pass() }, b: { dependsOn: ['a'] } } });
    const registry = bench.engines;
    const beat = registry.beat.bind(registry);
    let slow = false;
    registry.beat = async (incarnation) => {
      if (slow) await beating.pass();
      return beat(incarnation);
    };
    const engine = await bench.engine();
    const handle = await bench.start(engine, program);
    await bench.clock.until(gate.reached);
    slow = true;
    await bench.clock.advance(TTL / 4 + 100);
    await bench.clock.until(beating.reached);
    // The heartbeat before is older than a time to live then, the one under way is not.
    await bench.clock.advance(TTL - 2_500);
    expect(engine.healthy).toBe(false);
    gate.open();
    await bench.clock.advance(500);
    expect(program.calls).toEqual(['step a']);
    slow = false;
    beating.open();
    await bench.clock.advance(500);
    expect(program.calls).toEqual(['step a', 'step b']);
    expect((await bench.sagas.get(handle.id))?.status).toBe('completed');
  });

  it('lets no answer start anything that comes after its death', async () => {
    const flushing = new Gate();
    let held = false;
    const program = saga({ steps: { a: {}, b: { dependsOn: ['a'] } } });
    const engine = await bench.engine({
      store: (sagas) =>
        new Proxy(sagas, {
          get(target, property) {
            const method: unknown = Reflect.get(target, property);
            if (typeof method !== 'function') return method;
            if (property !== 'flush' || held) return method.bind(target) as unknown;
            return async (...given: unknown[]): Promise<unknown> => {
              held = true;
              const answer: unknown = await Reflect.apply(method, target, given);
              await flushing.pass();
              return answer;
            };
          },
        }),
    });
    const before = engine.incarnation;
    await bench.start(engine, program);
    await bench.clock.until(flushing.reached);
    await bench.engines.retire(before);
    await bench.clock.advance(TTL / 4 + 100);
    expect(engine.incarnation).not.toBe(before);
    // The start of 'b' was committed by the incarnation that is dead.
    flushing.open();
    await bench.clock.settle();
    expect(program.calls).toEqual(['step a']);
    await bench.clock.advance(30_000);
    expect(program.calls).toEqual(['step a', 'step b']);
  });

  it.each([
    ['have no answer', () => new Promise(() => undefined)],
    ['fail each time', () => Promise.reject(new Error('no connection'))],
  ])('stops when flushes %s', async (_, answer) => {
    const program = saga({ steps: { a: {}, b: { dependsOn: ['a'] } } });
    let stuck = false;
    const engine = await bench.engine({
      settings: { stuckMs: 20_000 },
      store: (sagas) =>
        new Proxy(sagas, {
          get(target, property) {
            const method: unknown = Reflect.get(target, property);
            if (typeof method !== 'function') return method;
            if (stuck && (property === 'flush' || property === 'settle')) return answer;
            return method.bind(target) as unknown;
          },
        }),
    });
    stuck = true;
    const handle = await bench.start(engine, program);
    const heir = await bench.engine();
    await bench.clock.advance(20_000 + 3 * TTL);
    expect((await bench.clock.until(heir.handle(handle.id).outcome())).status).toBe('completed');
    bench.kill(engine);
  });
});
