import { afterEach, describe, expect, it } from 'vitest';
import { EngineBench, Gate, Program, type ProgramOptions } from '../../testing/index.js';
import { factHandlers } from '../facts/index.js';

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

describe('ownership', () => {
  it('declares nobody dead after an outage in which no heartbeat could be written', async () => {
    const program = saga({ steps: { a: { run: () => new Promise(() => undefined) } } });
    let away = false;
    const store = (part: object): never =>
      new Proxy(part, {
        get(target, property) {
          const method: unknown = Reflect.get(target, property);
          if (typeof method !== 'function') return method;
          return (...given: unknown[]): unknown =>
            away ? Promise.reject(new Error('away')) : Reflect.apply(method, target, given);
        },
      }) as never;
    const deaths: string[] = [];
    const registry = bench.engines;
    const real = { beat: registry.beat.bind(registry), observe: registry.observe.bind(registry) };
    let slow = '';
    registry.beat = (incarnation) =>
      away || incarnation === slow ? Promise.reject(new Error('away')) : real.beat(incarnation);
    registry.observe = () => (away ? Promise.reject(new Error('away')) : real.observe());
    const listener = factHandlers({
      engine_died: () => deaths.push('x'),
      engine_buried: () => deaths.push('y'),
    });
    const one = await bench.engine({ store, listener });
    await bench.engine({ store, listener });
    const handle = await bench.start(one, program);
    await bench.clock.advance(1_000);
    away = true;
    await bench.clock.advance(120_000);
    // The one is back before the other, which is overdue by far then.
    slow = one.incarnation;
    away = false;
    await bench.clock.advance(10_000);
    slow = '';
    await bench.clock.advance(120_000);
    expect(deaths).toEqual([]);
    expect((await bench.sagas.get(handle.id))?.owner).toBe(one.incarnation);
    expect(program.calls).toEqual(['step a']);
  });

  it('stops all work when it learns of its death, and returns as another incarnation', async () => {
    const gate = new Gate();
    const program = saga({
      steps: { a: { run: () => gate.pass(), undo: true }, b: { dependsOn: ['a'] } },
    });
    const engine = await bench.engine();
    const before = engine.incarnation;
    const handle = await bench.start(engine, program);
    await bench.clock.until(gate.reached);
    await bench.engines.retire(before);
    await bench.clock.advance(TTL);
    expect(engine.incarnation).not.toBe(before);
    expect(engine.healthy).toBe(true);
    gate.open();
    await bench.clock.advance(30_000);
    expect((await bench.sagas.get(handle.id))?.status).toBe('completed');
  });

  it('refuses the write of an engine that was replaced, and tells the heir of its late success', async () => {
    const gate = new Gate();
    let runs = 0;
    const program = saga({
      steps: {
        charge: {
          undo: true,
          run: async () => {
            runs += 1;
            if (runs === 1) {
              await gate.pass();
              return 'charged by the frozen one';
            }
            throw new Error('refused');
          },
        },
        long: { undo: () => new Promise((resolve) => bench.clock.after(60_000, () => resolve(1))) },
      },
    });
    const frozen = await bench.engine();
    const handle = await bench.start(frozen, program);
    await bench.clock.until(gate.reached);
    await bench.engines.retire(frozen.incarnation);
    const heir = await bench.engine();
    await bench.clock.advance(20_000);
    gate.open();
    await bench.clock.settle();
    await bench.clock.until(heir.handle(handle.id).outcome({ timeout: '5m' }));
    expect(program.calls).toContain('compensation charge');
    expect(await bench.journal(handle.id)).toContain('step_late_success charge');
  });
});

describe('a success that its saga cannot take any more', () => {
  it('reaches the heir also when the frozen owner hears of its own death only by the refusal', async () => {
    const gate = new Gate();
    let runs = 0;
    const program = saga({
      steps: {
        charge: {
          undo: true,
          run: async () => {
            runs += 1;
            if (runs > 1) throw new Error('refused');
            await gate.pass();
            return 'charged by the frozen one';
          },
        },
        long: { undo: () => new Promise((resolve) => bench.clock.after(60_000, () => resolve(1))) },
      },
    });
    // Frozen: no heartbeat and no look at the store comes between its death and its promise.
    const frozen = await bench.engine({
      settings: { ttlMs: 600_000 },
      store: (sagas) =>
        new Proxy(sagas, {
          get(target, property) {
            const method: unknown = Reflect.get(target, property);
            if (typeof method !== 'function') return method;
            if (property === 'claim' || property === 'owned') return () => Promise.resolve([]);
            return method.bind(target) as unknown;
          },
        }),
    });
    const handle = await bench.start(frozen, program);
    await bench.clock.until(gate.reached);
    await bench.engines.retire(frozen.incarnation);
    const heir = await bench.engine();
    await bench.clock.advance(20_000);
    expect(program.calls).toContain('compensation charge');
    gate.open();
    await bench.clock.settle();
    await bench.clock.until(heir.handle(handle.id).outcome({ timeout: '5m' }));
    expect(await bench.journal(handle.id)).toContain('step_late_success charge');
    expect(program.calls.filter((call) => call === 'compensation charge').length).toBe(2);
  });

  it('reaches the heir also when the store is away from the frozen owner at that moment', async () => {
    const gate = new Gate();
    let runs = 0;
    let away = false;
    const program = saga({
      steps: {
        charge: {
          undo: true,
          run: async () => {
            runs += 1;
            if (runs > 1) throw new Error('refused');
            await gate.pass();
            return 'charged by the frozen one';
          },
        },
        long: { undo: () => new Promise((resolve) => bench.clock.after(60_000, () => resolve(1))) },
      },
    });
    const frozen = await bench.engine({
      store: (sagas) =>
        new Proxy(sagas, {
          get(target, property) {
            const method: unknown = Reflect.get(target, property);
            if (typeof method !== 'function') return method;
            if (property !== 'putMail' || !away) return method.bind(target) as unknown;
            return () => Promise.reject(new Error('away'));
          },
        }),
    });
    const handle = await bench.start(frozen, program);
    await bench.clock.until(gate.reached);
    await bench.engines.retire(frozen.incarnation);
    const heir = await bench.engine();
    await bench.clock.advance(20_000);
    away = true;
    gate.open();
    await bench.clock.advance(5_000);
    expect(await bench.journal(handle.id)).not.toContain('step_late_success charge');
    away = false;
    await bench.clock.until(heir.handle(handle.id).outcome({ timeout: '5m' }));
    expect(await bench.journal(handle.id)).toContain('step_late_success charge');
  });

  it('asks for a person when the heir has undone and ended the saga by then', async () => {
    const gate = new Gate();
    let runs = 0;
    const program = saga({
      steps: {
        charge: {
          undo: true,
          run: async () => {
            runs += 1;
            if (runs > 1) throw new Error('refused');
            await gate.pass();
            return 'charged after all';
          },
        },
      },
    });
    const owner = await bench.engine();
    const handle = await bench.start(owner, program);
    await bench.clock.until(gate.reached);
    await bench.engines.retire(owner.incarnation);
    await bench.clock.advance(TTL);
    const heir = await bench.engine();
    expect((await bench.clock.until(heir.handle(handle.id).outcome())).status).toBe('compensated');
    gate.open();
    await bench.clock.advance(TTL);
    expect(await bench.sagas.get(handle.id)).toMatchObject({
      status: 'needs_attention',
      owner: null,
    });
    await heir.retry(handle.id);
    await bench.clock.advance(TTL);
    expect((await bench.sagas.get(handle.id))?.status).toBe('compensated');
    expect(program.calls.filter((call) => call === 'compensation charge').length).toBe(2);
  });
});

describe('a definition that changed', () => {
  it('is refused with its reason and without effect while steps of the journal are unknown to it', async () => {
    const gate = new Gate();
    const before = new Program({
      name: 'renamed',
      steps: { a: {}, b: { dependsOn: ['a'], run: () => gate.pass() } },
    });
    const after = new Program({ name: 'renamed', steps: { a2: {}, b: { dependsOn: ['a2'] } } });
    bench = new EngineBench([before]);
    const old = await bench.engine();
    const handle = await bench.start(old, before);
    await bench.clock.until(gate.reached);
    bench.kill(old);
    const heir = await bench.engine({ sagas: [after] });
    await bench.clock.advance(TAKEN_OVER);
    const outcome = await bench.clock.until(heir.handle(handle.id).outcome());
    expect(outcome).toMatchObject({ status: 'needs_attention', reason: 'definition_changed' });
    expect(after.calls).toEqual([]);
  });

  it('leaves sagas of another version alone, and runs both versions side by side', async () => {
    const one = new Program({ name: 'versioned', version: 1, steps: { a: {} } });
    const two = new Program({ name: 'versioned', version: 2, steps: { b: {} } });
    bench = new EngineBench([one, two]);
    const idle = bench.idleEngine();
    const first = await bench.start(idle, one);
    const second = await bench.start(idle, two);
    await bench.engine({ sagas: [two] });
    await bench.clock.advance(5_000);
    expect((await bench.sagas.get(first.id))?.status).toBe('pending');
    expect((await bench.sagas.get(second.id))?.status).toBe('completed');
    await bench.engine({ sagas: [one] });
    await bench.clock.advance(5_000);
    expect((await bench.sagas.get(first.id))?.status).toBe('completed');
  });
});
