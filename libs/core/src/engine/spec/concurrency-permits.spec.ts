import { afterEach, describe, expect, it } from 'vitest';
import { EngineBench, Gate, Program } from '../../testing/index.js';

let bench: EngineBench;
afterEach(() => bench.close());

describe('a free place', () => {
  it('is given to an innocent step although suspects wait in greater number for theirs', async () => {
    const gate = new Gate();
    let dead = false;
    const killer = new Program({
      steps: { a: { run: () => (dead ? gate.pass() : new Promise(() => undefined)) } },
    });
    const innocent = new Program({ steps: { a: {}, b: { dependsOn: ['a'] } } });
    bench = new EngineBench([killer, innocent]);
    const dying = await bench.engine();
    await Promise.all(Array.from({ length: 6 }, () => bench.start(dying, killer)));
    await bench.clock.advance(100);
    bench.kill(dying);
    dead = true;
    const heir = await bench.engine({ settings: { maxInFlight: 3 } });
    await bench.clock.advance(60_000);
    await bench.clock.until(gate.reached);
    const handle = await bench.start(heir, innocent);
    await bench.clock.advance(2_000);
    expect((await bench.sagas.get(handle.id))?.status).toBe('completed');
    gate.open();
    await bench.clock.advance(60_000);
    const left = await heir.find({ name: killer.definition.name });
    expect(new Set(left.map(({ status }) => status))).toEqual(new Set(['completed']));
  });

  it('is given to a plain step although transactional ones wait in greater number for theirs', async () => {
    const gate = new Gate();
    const booking = new Program({
      steps: { a: { transactional: true, run: () => gate.pass() } },
    });
    const plain = new Program({ steps: { a: {}, b: { dependsOn: ['a'] } } });
    bench = new EngineBench([booking, plain]);
    const engine = await bench.engine({ settings: { maxInFlight: 3, maxTransactions: 1 } });
    await Promise.all(Array.from({ length: 6 }, () => bench.start(engine, booking)));
    await bench.clock.until(gate.reached);
    const handle = await bench.start(engine, plain);
    await bench.clock.advance(2_000);
    expect((await bench.sagas.get(handle.id))?.status).toBe('completed');
    gate.open();
    await bench.clock.advance(10_000);
    const left = await engine.find({ name: booking.definition.name });
    expect(new Set(left.map(({ status }) => status))).toEqual(new Set(['completed']));
  });

  it('is given in the order of asking', async () => {
    const gate = new Gate();
    const begun: unknown[] = [];
    const program = new Program({
      steps: {
        a: {
          run: ({ input }) => {
            begun.push(input);
            return input === 0 ? gate.pass() : null;
          },
        },
      },
    });
    bench = new EngineBench([program]);
    const engine = await bench.engine({ settings: { maxInFlight: 1 } });
    for (let n = 0; n < 20; n += 1) await bench.start(engine, program, n);
    gate.open();
    await bench.clock.advance(5_000);
    expect(begun).toEqual(Array.from({ length: 20 }, (_, n) => n));
  });

  it('is given to others while a saga before them cannot take it, and to that one once it can', async () => {
    const busy = new Gate();
    const hung = new Gate();
    let conflicts = 0;
    const first = new Program({ steps: { x: { transactional: true, run: () => busy.pass() } } });
    // From the second conflict on it holds the turn of its saga, for which `b` would need a place.
    const head = new Program({
      steps: {
        a: {
          transactional: true,
          run: async () => {
            if (conflicts++ < 2) throw Object.assign(new Error('conflict'), { code: '40001' });
            await hung.pass();
          },
        },
        b: { transactional: true },
        c: { transactional: true },
      },
    });
    const other = new Program({ steps: { y: { transactional: true } } });
    bench = new EngineBench([first, head, other]);
    const engine = await bench.engine({ settings: { maxTransactions: 2 } });
    await bench.start(engine, first);
    await bench.clock.advance(10);
    const waiting = await bench.start(engine, head);
    await bench.clock.advance(100);
    const handles = [];
    for (let n = 0; n < 10; n += 1) handles.push(await bench.start(engine, other));
    busy.open();
    await bench.clock.advance(1_000);
    for (const { id } of handles) expect((await bench.sagas.get(id))?.status).toBe('completed');
    hung.open();
    await bench.clock.advance(1_000);
    expect((await bench.sagas.get(waiting.id))?.status).toBe('completed');
  });

  it('is given to each of those who wait in turn, however many steps the first of them has', async () => {
    const gate = new Gate();
    const order: string[] = [];
    const run = (name: string) => async (): Promise<void> => {
      order.push(name);
      await new Promise<void>((resolve) => bench.clock.after(10, resolve));
    };
    const holder = new Program({ steps: { a: { run: () => gate.pass() } } });
    const wide = new Program({
      steps: Object.fromEntries(
        Array.from({ length: 50 }, (_, n) => [`s${String(n)}`, { run: run('wide') }]),
      ),
    });
    const narrow = new Program({ steps: { a: { run: run('narrow') } } });
    bench = new EngineBench([holder, wide, narrow]);
    const engine = await bench.engine({ settings: { maxInFlight: 2 } });
    await bench.start(engine, holder);
    await bench.start(engine, holder);
    await bench.start(engine, wide);
    for (let n = 0; n < 5; n += 1) await bench.start(engine, narrow);
    gate.open();
    await bench.clock.advance(10_000);
    expect(order).toHaveLength(55);
    expect(order.lastIndexOf('narrow')).toBeLessThan(12);
  });
});
