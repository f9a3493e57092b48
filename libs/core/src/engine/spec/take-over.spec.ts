import { afterEach, describe, expect, it } from 'vitest';
import { EngineBench, Gate, Program } from '../../testing/index.js';
import { factHandlers } from '../facts/index.js';

let bench: EngineBench;
afterEach(() => bench.close());

const TTL = 15_000;
/** Between two heartbeats. */
const ROUND = TTL / 4;

/** A saga in the middle of a step, and how long after its death its engine is buried. */
async function buriedAfter(livedMs: number, headStartMs: number): Promise<number> {
  const gate = new Gate();
  const program = new Program({ steps: { a: { run: () => gate.pass() } } });
  bench = new EngineBench([program]);
  let buriedAt = Number.NaN;
  await bench.engine({
    listener: factHandlers({ engine_buried: () => (buriedAt = bench.clock.now()) }),
    settings: { maxSagas: 0 },
  });
  await bench.clock.advance(headStartMs);
  const dying = await bench.engine();
  await bench.start(dying, program);
  await bench.clock.until(gate.reached);
  await bench.clock.advance(livedMs);
  const diedAt = bench.clock.now();
  bench.kill(dying);
  await bench.clock.advance(3 * TTL);
  await bench.close();
  return (buriedAt - diedAt) / TTL;
}

describe('a dead engine', () => {
  it('is buried between three and five quarters of a lease after its death, whenever it dies', async () => {
    const found: number[] = [];
    for (let part = 0; part < 8; part += 1) {
      for (const headStart of [100, ROUND / 2, ROUND - 100]) {
        found.push(await buriedAfter(4 * ROUND + (part * ROUND) / 8 + 5, headStart));
      }
    }
    expect(Math.min(...found)).toBeGreaterThanOrEqual(0.75);
    expect(Math.max(...found)).toBeLessThanOrEqual(1.26);
  });

  it('is buried little more than a lease after the first engine is back, where all died together', async () => {
    const gate = new Gate();
    const program = new Program({ steps: { a: { run: () => gate.pass() } } });
    bench = new EngineBench([program]);
    const dying = await bench.engine();
    await bench.start(dying, program);
    await bench.clock.until(gate.reached);
    bench.kill(dying);
    await bench.clock.advance(10 * TTL);
    let buriedAt = Number.NaN;
    const back = bench.clock.now();
    await bench.engine({
      listener: factHandlers({ engine_buried: () => (buriedAt = bench.clock.now()) }),
    });
    await bench.clock.advance(3 * TTL);
    expect((buriedAt - back) / TTL).toBeGreaterThanOrEqual(1);
    expect((buriedAt - back) / TTL).toBeLessThanOrEqual(1.26);
  });
});

describe('a living engine', () => {
  it('is not buried by one with a shorter lease that is back sooner after an outage', async () => {
    bench = new EngineBench([new Program({ steps: { a: {} } })]);
    const { engines } = bench;
    const real = { beat: engines.beat.bind(engines), observe: engines.observe.bind(engines) };
    let away = false;
    engines.beat = (incarnation) =>
      away ? Promise.reject(new Error('away')) : real.beat(incarnation);
    engines.observe = () => (away ? Promise.reject(new Error('away')) : real.observe());
    const buried: string[] = [];
    const listener = factHandlers({ engine_buried: (fact) => buried.push(fact.incarnation) });
    await bench.engine({ settings: { ttlMs: 60_000 }, listener });
    await bench.engine({ settings: { ttlMs: 2_000 }, listener });
    await bench.clock.advance(10_000);
    for (let outage = 1; outage <= 12; outage += 1) {
      away = true;
      await bench.clock.advance(61_000 + outage * 333);
      away = false;
      await bench.clock.advance(70_000);
    }
    expect(buried).toEqual([]);
  });

  it('is not buried after an outage in which it beat last, and is the last to return', async () => {
    for (let offset = 0; offset < ROUND; offset += ROUND / 6) {
      bench = new EngineBench([new Program({ steps: { a: {} } })]);
      const { engines } = bench;
      const real = { beat: engines.beat.bind(engines), observe: engines.observe.bind(engines) };
      let away = false;
      engines.beat = (incarnation) =>
        away ? Promise.reject(new Error('away')) : real.beat(incarnation);
      engines.observe = () => (away ? Promise.reject(new Error('away')) : real.observe());
      const deaths: string[] = [];
      const listener = factHandlers({ engine_died: () => deaths.push('x') });
      await bench.engine({ listener });
      await bench.clock.advance(offset);
      await bench.engine({ listener });
      await bench.clock.advance(2 * TTL);
      for (const outage of [0.8 * TTL, TTL, 1.3 * TTL, 4 * TTL]) {
        away = true;
        await bench.clock.advance(outage);
        away = false;
        await bench.clock.advance(3 * TTL);
      }
      expect(deaths).toEqual([]);
      await bench.close();
    }
  });
});
