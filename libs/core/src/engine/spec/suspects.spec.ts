import { afterEach, describe, expect, it } from 'vitest';
import type { SagaEngine } from '../index.js';
import { EngineBench, Program } from '../../testing/index.js';

let bench: EngineBench;
afterEach(() => bench.close());

const pause = (ms: number): Promise<void> =>
  new Promise((resolve) => bench.clock.after(ms, resolve));

/** Starts sagas, and one process after the other, until nothing is left to do. */
async function untilAllEnded(
  program: Program,
  count: number,
  state: { engine: SagaEngine | null },
) {
  let engines = 0;
  for (let n = 0; n < count; n += 1) {
    state.engine ??= await bench.engine();
    await bench.start(state.engine, program, n);
  }
  for (let second = 0; second < 1_200; second += 1) {
    if (state.engine === null) {
      engines += 1;
      state.engine = await bench.engine();
    }
    await bench.clock.advance(1_000);
    const left = await bench.sagas.countByStatus();
    if (['running', 'pending', 'waiting', 'compensating'].every((one) => !left.has(one as never)))
      break;
  }
  return { engines, ended: await bench.sagas.countByStatus() };
}

describe('Steps that were running when their process died', () => {
  it('give up only the one that kills it, however many run beside it', async () => {
    for (const maxCrashes of [2, 3, 4]) {
      const state: { engine: SagaEngine | null } = { engine: null };
      const program = new Program({
        maxCrashes,
        steps: {
          a: {
            undo: true,
            run: async ({ input }) => {
              if (input === 7) {
                // Somebody else is in the middle of something when it dies.
                await pause(500);
                if (state.engine !== null) bench.kill(state.engine);
                state.engine = null;
                await new Promise<never>(() => undefined);
              }
              await pause(2_000);
            },
          },
        },
      });
      bench = new EngineBench([program]);
      const { engines, ended } = await untilAllEnded(program, 60, state);
      expect(engines).toBe(maxCrashes);
      expect(Object.fromEntries(ended)).toEqual({ completed: 59, compensated: 1 });
      await bench.close();
    }
  });

  it('find all of several that kill it, and give up nobody else', async () => {
    const state: { engine: SagaEngine | null } = { engine: null };
    const program = new Program({
      steps: {
        a: {
          undo: true,
          run: async ({ input }) => {
            if (input === 3 || input === 17 || input === 40) {
              await pause(500);
              if (state.engine !== null) bench.kill(state.engine);
              state.engine = null;
              await new Promise<never>(() => undefined);
            }
            await pause(2_000);
          },
        },
      },
    });
    bench = new EngineBench([program]);
    const { ended } = await untilAllEnded(program, 60, state);
    expect(Object.fromEntries(ended)).toEqual({ completed: 57, compensated: 3 });
  });

  it('run in groups after one death, and those that were there again with no other suspect', async () => {
    const state: { engine: SagaEngine | null } = { engine: null };
    let now = 0;
    let most = 0;
    let hang = true;
    const program = new Program({
      steps: {
        a: {
          run: async () => {
            now += 1;
            most = Math.max(most, now);
            await pause(hang ? 1e9 : 2_000);
            now -= 1;
          },
        },
      },
    });
    bench = new EngineBench([program]);
    const first = await bench.engine();
    for (let n = 0; n < 100; n += 1) await bench.start(first, program);
    await bench.clock.advance(1_000);
    bench.kill(first);
    now = 0;
    most = 0;
    const second = await bench.engine();
    await bench.clock.advance(60_000);
    expect(most).toBe(20);
    bench.kill(second);
    now = 0;
    most = 0;
    hang = false;
    state.engine = await bench.engine();
    const before = bench.clock.now();
    const { ended } = await untilAllEnded(program, 0, state);
    expect(Object.fromEntries(ended)).toEqual({ completed: 100 });
    // Twenty by themselves, then eighty in groups of twenty.
    expect(bench.clock.now() - before).toBeLessThan(100_000);
    expect(most).toBe(20);
  });
});
