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
    await gate.reached;
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
    await gate.reached;
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
});
