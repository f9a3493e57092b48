import { afterEach, describe, expect, it } from 'vitest';
import type { SagaStore } from '../../ports/index.js';
import { EngineBench, Gate, Program, VirtualClock } from '../../testing/index.js';
import { StartLimit } from '../flush/index.js';
import { EngineClosedError, StartQueueFullError, type SagaEngine } from '../index.js';

let bench: EngineBench;
afterEach(() => bench.close());

type Start = SagaStore['start'];

/** The store with another start. */
const withStart =
  (make: (real: Start) => Start) =>
  (sagas: SagaStore): SagaStore => {
    const start = make((given, transaction) => sagas.start(given, transaction));
    return new Proxy(sagas, {
      get(target, name) {
        if (name === 'start') return start;
        const method: unknown = Reflect.get(target, name);
        return typeof method === 'function' ? (method.bind(target) as unknown) : method;
      },
    });
  };

/** A store that takes no start until it is told to. */
async function slow(settings: {
  maxStarts: number;
  startWaitMs?: number;
}): Promise<{ engine: SagaEngine; program: Program; gate: Gate; most: () => number }> {
  const gate = new Gate();
  const program = new Program({ steps: { a: {} } });
  bench = new EngineBench([program]);
  let here = 0;
  let most = 0;
  const engine = await bench.engine({
    settings: { flushShare: 1, flushers: 2, flushGroup: 10, ...settings },
    store: withStart((real) => async (given, transaction) => {
      if (transaction !== undefined) return real(given, transaction);
      here += given.length;
      most = Math.max(most, here);
      await gate.pass();
      here -= given.length;
      return real(given);
    }),
  });
  return { engine, program, gate, most: () => most };
}

describe('Starts that come faster than the store takes them', () => {
  it('wait beyond the limit, go on in the order of their calls, and hold no place meanwhile', async () => {
    const { engine, program, gate } = await slow({ maxStarts: 20 });
    const order: unknown[] = [];
    const starts = Array.from({ length: 40 }, (_, n) =>
      engine.start(program.definition, n).then(({ id }) => {
        order.push(n);
        return id;
      }),
    );
    await bench.clock.advance(1_000);
    expect(engine.sagasHere).toBe(20);
    expect(engine.stepsRunning).toBe(20);
    gate.open();
    const ids = await bench.clock.until(Promise.all(starts));
    expect(new Set(ids).size).toBe(40);
    expect(order.slice(20)).toEqual(Array.from({ length: 20 }, (_, n) => n + 20));
    await bench.clock.advance(1_000);
    expect((await bench.sagas.countByStatus()).get('completed')).toBe(40);
  });

  it('are refused when that takes too long, or when as many wait already', async () => {
    const { engine, program, gate } = await slow({ maxStarts: 5, startWaitMs: 2_000 });
    // Noted and not awaited, so that a start which wrongly goes on waiting fails the test at once.
    const ends = Array.from({ length: 12 }, (): unknown => 'waiting');
    ends.forEach((_, n) => {
      engine.start(program.definition, n).then(
        () => (ends[n] = 'started'),
        (error: unknown) => (ends[n] = error),
      );
    });
    await bench.clock.settle();
    for (const at of [10, 11]) {
      expect(ends[at]).toBeInstanceOf(StartQueueFullError);
      expect(ends[at]).toMatchObject({ limit: 5, waitedMs: 0 });
    }
    await bench.clock.advance(2_000);
    for (const at of [5, 9]) {
      expect(ends[at]).toMatchObject({
        code: 'SAGAZ_START_QUEUE_FULL',
        limit: 5,
        waitedMs: 2_000,
      });
      expect(String(ends[at])).toContain('maxStarts');
    }
    gate.open();
    await bench.clock.advance(100);
    for (const at of [0, 4]) expect(ends[at]).toBe('started');
    await engine.start(program.definition, 1);
    await bench.clock.advance(1_000);
    expect((await bench.sagas.countByStatus()).get('completed')).toBe(6);
  });

  it('are bounded by the size of their inputs too, a larger one alone', async () => {
    const clock = new VirtualClock();
    const limit = new StartLimit({ clock, maxStarts: 1_000, startWaitMs: 1_000 });
    const mega = 1_024 * 1_024;
    const begun: number[] = [];
    const ends = [20, 20, 20, 20, 40, 3].map((size) =>
      limit.enter(size * mega).then((end) => {
        begun.push(size);
        return end;
      }),
    );
    await clock.settle();
    expect(begun).toEqual([20, 20, 20]);
    // Those that wait are held in memory, too.
    await expect(limit.enter(2 * mega)).rejects.toBeInstanceOf(StartQueueFullError);
    for (const end of ends.slice(0, 3)) (await end)();
    await clock.settle();
    expect(begun).toEqual([20, 20, 20, 20, 40, 3]);
    const whole = limit.enter(200 * mega);
    await clock.settle();
    for (const end of ends.slice(3)) (await end)();
    (await whole)();
    expect(clock.pending).toBe(0);
  });

  it('in a transaction of the caller are not kept waiting: the caller has it in hand', async () => {
    const { engine, program, gate } = await slow({ maxStarts: 1 });
    void engine.start(program.definition, 1);
    await bench.clock.settle();
    const open = bench.transactions.begin();
    await engine.start(program.definition, 2, { transaction: open });
    open.commit();
    gate.open();
    await bench.clock.advance(5_000);
    expect((await bench.sagas.countByStatus()).get('completed')).toBe(2);
  });

  it('end with the engine, those that wait for a key too, and ask the store for nothing more', async () => {
    const program = new Program({ steps: { a: {} } });
    bench = new EngineBench([program]);
    let asked = 0;
    let away = false;
    const engine = await bench.engine({
      settings: { maxStarts: 2, startWaitMs: 3_600_000, shutdownMs: 1_000 },
      store: withStart((real) => async (given, transaction) => {
        asked += 1;
        if (away) throw new Error('away');
        return real(given, transaction);
      }),
    });
    const open = bench.transactions.begin();
    await engine.start(program.definition, 1, { idempotencyKey: 'k', transaction: open });
    const refused = (options: object) =>
      engine.start(program.definition, 1, options).catch((error: unknown) => error);
    const contended = refused({ idempotencyKey: 'k' });
    await bench.clock.advance(50);
    away = true;
    const lost = refused({});
    const queued = refused({});
    await bench.clock.settle();
    await bench.clock.until(engine.close());
    // Pauses between repeats of what is under way run out, and nothing is asked after them.
    asked = 0;
    await bench.clock.advance(1_500);
    for (const one of [contended, queued, lost]) {
      expect(await one).toBeInstanceOf(EngineClosedError);
    }
    await bench.clock.advance(3_600_000);
    expect(asked).toBe(0);
    open.rollback();
  });
});

describe('A start that the store does not answer', () => {
  it('is repeated four times within seconds, and then its caller is told', async () => {
    const program = new Program({ steps: { a: {} } });
    bench = new EngineBench([program]);
    let asked = 0;
    const engine = await bench.engine({
      store: withStart(() => () => {
        asked += 1;
        return Promise.reject(new Error('away'));
      }),
    });
    const started = bench.clock.until(engine.start(program.definition, 1), 5_000);
    await expect(started).rejects.toThrow('away');
    expect(asked).toBe(5);
  });
});
