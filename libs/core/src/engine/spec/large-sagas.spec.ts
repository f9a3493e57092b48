import { afterEach, expect, it } from 'vitest';
import type { ClaimRequest } from '../../ports/index.js';
import { EngineBench, Gate, Program } from '../../testing/index.js';

let bench: EngineBench;
afterEach(() => bench.close());

const MIB = 1_024 * 1_024;

it('takes so many large sagas at a time as fit into memory, and ends them all', async () => {
  let [running, most] = [0, 0];
  const program = new Program({
    steps: {
      first: {
        run: async () => {
          running += 1;
          most = Math.max(most, running);
          await new Promise<void>((resolve) => bench.clock.after(100, resolve));
          running -= 1;
          return null;
        },
      },
    },
  });
  bench = new EngineBench([program]);
  // It starts sagas, and runs none.
  const starter = bench.idleEngine();
  const input = { blob: 'x'.repeat(8 * MIB) };
  for (let n = 0; n < 20; n += 1) await bench.start(starter, program, { input });
  await bench.engine();
  await bench.clock.advance(60_000);
  expect(await bench.sagas.countByStatus()).toEqual(new Map([['completed', 20]]));
  expect(most).toBeGreaterThan(4);
  // 64 MiB, and the one that brought them to that.
  expect(most).toBeLessThanOrEqual(9);
});

it('takes a saga although the steps of another one put out much, since that lies in the store', async () => {
  const gate = new Gate();
  const program = new Program({
    steps: {
      large: { run: () => 'x'.repeat(70 * MIB) },
      last: { dependsOn: ['large'], run: () => gate.pass() },
    },
  });
  bench = new EngineBench([program]);
  const engine = await bench.engine();
  await bench.start(engine, program);
  await gate.reached;
  const { id } = await bench.start(engine, program);
  await bench.clock.advance(1_000);
  expect((await bench.sagas.get(id))?.owner).toBe(engine.incarnation);
  gate.open();
  await bench.clock.advance(5_000);
  expect(await bench.sagas.countByStatus()).toEqual(new Map([['completed', 2]]));
});

it('runs the sagas of a claim that was never answered before it claims others', async () => {
  const ended: string[] = [];
  const program = new Program({
    steps: {
      first: {
        run: async ({ context }) => {
          await new Promise<void>((resolve) => bench.clock.after(100, resolve));
          ended.push(context.sagaId);
          return null;
        },
      },
    },
  });
  bench = new EngineBench([program]);
  const starter = bench.idleEngine();
  const input = { blob: 'x'.repeat(16 * MIB) };
  for (let n = 0; n < 12; n += 1) await bench.start(starter, program, { input });
  const lost: string[] = [];
  await bench.engine({
    store: (sagas) =>
      new Proxy(sagas, {
        get(target, name) {
          const member: unknown = Reflect.get(target, name);
          if (name === 'claim' && lost.length === 0) {
            return async (request: ClaimRequest) => {
              lost.push(...(await target.claim(request)).map(({ id }) => id));
              throw new Error('The answer was lost.');
            };
          }
          return typeof member === 'function' ? (member.bind(target) as unknown) : member;
        },
      }),
  });
  await bench.clock.advance(120_000);
  expect(ended).toHaveLength(12);
  expect(lost).toHaveLength(4);
  expect(ended.slice(0, 4).sort()).toEqual([...lost].sort());
});
