import { afterEach, describe, expect, it } from 'vitest';
import type { SagaStore } from '../../ports/index.js';
import type { StepContext } from '../../saga/index.js';
import { EngineBench, Gate, Program } from '../../testing/index.js';

const KIB = 1_024;
const MIB = KIB * KIB;
let bench: EngineBench;
afterEach(() => bench.close());

const large = (letter: string, size = 100 * KIB) => ({ text: letter.repeat(size) });

/** The result of the first step, as a step asks for it. */
function resultOf(context: StepContext): unknown {
  const result: unknown = Reflect.get(context, 'result');
  return typeof result === 'function' ? Reflect.apply(result, context, ['first']) : undefined;
}

/** A store that notes which outputs are read, and does before each read what `before` says. */
function noting(
  sagas: SagaStore,
  reads: number[],
  before: () => Promise<void> = () => Promise.resolve(),
): SagaStore {
  return new Proxy(sagas, {
    get(target, name) {
      const member: unknown = Reflect.get(target, name);
      if (name === 'dataOf') {
        return async (...given: Parameters<SagaStore['dataOf']>) => {
          reads.push(given[1].length);
          await before();
          return target.dataOf(...given);
        };
      }
      return typeof member === 'function' ? (member.bind(target) as unknown) : member;
    },
  });
}

describe('A large output', () => {
  it('is given to the steps that ask for it, by the process that wrote it and by another one', async () => {
    const gate = new Gate();
    const seen: unknown[] = [];
    const program = new Program({
      steps: {
        first: { run: () => large('a'), undo: ({ context }) => seen.push(resultOf(context)) },
        second: {
          dependsOn: ['first'],
          run: async ({ context }) => {
            const value = resultOf(context);
            seen.push(structuredClone(value));
            if (typeof value === 'object' && value !== null) Object.assign(value, { text: 'mine' });
            seen.push(resultOf(context));
            await gate.pass();
            return null;
          },
        },
        third: {
          dependsOn: ['second'],
          run: ({ context }) => {
            seen.push(resultOf(context));
            throw new TypeError('refused');
          },
        },
      },
    });
    bench = new EngineBench([program]);
    const reads: number[] = [];
    const engine = await bench.engine();
    const handle = await bench.start(engine, program);
    await gate.reached;
    expect(seen).toEqual([large('a'), large('a')]);
    bench.kill(engine);
    gate.open();
    const other = await bench.engine({ store: (sagas) => noting(sagas, reads) });
    await bench.clock.advance(120_000);
    expect(await bench.sagas.get(handle.id)).toMatchObject({ status: 'compensated' });
    // The step that was running, the next one, and the compensation.
    expect(seen.slice(2)).toEqual(Array.from({ length: 4 }, () => large('a')));
    expect(reads, 'read once, since it is at hand afterwards').toEqual([1]);
    expect(other.healthy).toBe(true);
  });

  it('is the result of its saga, wherever that ends and whoever waits', async () => {
    const gate = new Gate();
    const program = new Program({
      output: 'first',
      steps: {
        first: { run: () => large('r') },
        last: { dependsOn: ['first'], run: () => gate.pass() },
      },
    });
    bench = new EngineBench([program]);
    const engine = await bench.engine();
    const handle = await bench.start(engine, program);
    const elsewhere = await bench.engine();
    const results = [handle.result(), elsewhere.handle(handle.id).result()];
    await gate.reached;
    gate.open();
    expect(await bench.clock.until(Promise.all(results))).toEqual([large('r'), large('r')]);
    expect(await bench.clock.until(elsewhere.handle(handle.id).result())).toEqual(large('r'));
    // It is stored once: the end names its place.
    const journal = await bench.sagas.history(handle.id);
    expect(journal.at(-1)?.data?.length).toBeLessThan(500);
  });

  it('is waited for while the store is away, and the step is charged with no attempt', async () => {
    const gate = new Gate();
    const program = new Program({
      steps: {
        first: { run: () => large('a') },
        wait: { dependsOn: ['first'], run: () => gate.pass() },
        second: {
          dependsOn: ['wait'],
          timeoutMs: 1_000,
          run: ({ context }) => resultOf(context),
        },
      },
    });
    bench = new EngineBench([program]);
    const first = await bench.engine();
    const { id } = await bench.start(first, program);
    await gate.reached;
    bench.kill(first);
    gate.open();
    let away = true;
    const reads: number[] = [];
    const before = (): Promise<void> =>
      away ? Promise.reject(new Error('away')) : Promise.resolve();
    await bench.engine({ store: (sagas) => noting(sagas, reads, before) });
    await bench.clock.advance(60_000);
    expect(reads.length).toBeGreaterThan(2);
    away = false;
    await bench.clock.advance(60_000);
    expect(await bench.sagas.get(id)).toMatchObject({ status: 'completed' });
    expect(await bench.journal(id)).not.toContain('step_attempt_failed second');
  });

  it('parks its saga where the store has it no more', async () => {
    const gate = new Gate();
    const program = new Program({
      steps: {
        first: { run: () => large('a') },
        second: { dependsOn: ['first'], run: () => gate.pass() },
      },
    });
    bench = new EngineBench([program]);
    const first = await bench.engine();
    const { id } = await bench.start(first, program);
    await gate.reached;
    bench.kill(first);
    const lost = (sagas: SagaStore) =>
      new Proxy(sagas, {
        get(target, name) {
          const member: unknown = Reflect.get(target, name);
          if (name === 'dataOf') return () => Promise.resolve([null]);
          return typeof member === 'function' ? (member.bind(target) as unknown) : member;
        },
      });
    await bench.engine({ store: lost });
    await bench.clock.advance(60_000);
    expect(await bench.sagas.get(id)).toMatchObject({ status: 'needs_attention' });
    const [, ...journal] = await bench.sagas.history(id);
    expect(journal.find(({ kind }) => kind === 'needs_attention')?.data).toMatch(
      /The output of the entry \d+\.\d+ is missing/,
    );
  });

  it('is in memory only for as many steps at once as 64 MiB hold', async () => {
    let [running, most] = [0, 0];
    const program = new Program({
      steps: {
        first: { run: () => large('a', 16 * MIB) },
        second: {
          dependsOn: ['first'],
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
    const engine = await bench.engine();
    for (let n = 0; n < 9; n += 1) await bench.start(engine, program);
    await bench.clock.advance(60_000);
    expect(await bench.sagas.countByStatus()).toEqual(new Map([['completed', 9]]));
    // Each output is a little more than 16 MiB.
    expect(most).toBe(3);
  });
});
