import { afterEach, describe, expect, it } from 'vitest';
import { LockTimeoutError } from '../../errors/index.js';
import type { SagaStore } from '../../ports/index.js';
import { EngineBench, Program } from '../../testing/index.js';

let bench: EngineBench;
afterEach(() => bench.close());

function saga(): Program {
  const program = new Program({ output: 'a', steps: { a: {} } });
  bench = new EngineBench([program]);
  return program;
}

describe('starts that share a statement', () => {
  it('lets all others start while one idempotency key is held, and gives that one up by name', async () => {
    const program = saga();
    let statements = 0;
    const engine = await bench.engine({
      store: (sagas) => {
        const start: SagaStore['start'] = (...given) => {
          statements += 1;
          return sagas.start(...given);
        };
        return new Proxy(sagas, {
          get(target, property) {
            if (property === 'start') return start;
            const method: unknown = Reflect.get(target, property);
            return typeof method === 'function' ? (method.bind(target) as unknown) : method;
          },
        });
      },
    });
    const keys = Array.from({ length: 30 }, (_, at) => `order-${String(at)}`);
    const open = bench.transactions.begin();
    for (const idempotencyKey of keys) {
      await engine.start(program.definition, 1, { idempotencyKey, transaction: open });
    }
    const held = keys.map((idempotencyKey) =>
      engine.start(program.definition, 1, { idempotencyKey }).catch((error: unknown) => error),
    );
    statements = 0;
    const began = bench.clock.now();
    for (let at = 0; at < 20; at += 1) {
      const other = await engine.start(program.definition, at);
      expect(await bench.clock.until(other.result())).toBe('a');
    }
    // No timer of the store's had to run out for any of them.
    expect(bench.clock.now() - began).toBeLessThan(1_000);
    const errors = await bench.clock.until(Promise.all(held));
    for (const [at, error] of errors.entries()) {
      expect(error).toBeInstanceOf(LockTimeoutError);
      expect(error).toMatchObject({
        lock: expect.stringContaining(`"${keys[at] ?? ''}"`) as unknown,
      });
    }
    // Thirty that wait are asked for together and ever more rarely.
    expect(statements).toBeLessThan(20 + 60);
    open.commit();
    const [first] = keys;
    if (first === undefined) throw new Error();
    const again = await engine.start(program.definition, 1, { idempotencyKey: first });
    expect((await engine.get(again.id))?.key).toBe(first);
  });

  it('fails the caller whose input the store refuses, and none that starts beside it', async () => {
    const program = saga();
    const engine = await bench.engine({
      store: (sagas) => {
        const start: SagaStore['start'] = async (given, transaction) => {
          const bad = given.find(({ key }) => key === 'poison');
          const outcomes = await sagas.start(
            given.filter((one) => one !== bad),
            transaction,
          );
          const next = outcomes.values();
          return given.map((one) =>
            one === bad
              ? { kind: 'rejected', error: new Error('refused') }
              : (next.next().value ?? { kind: 'busy' }),
          );
        };
        return new Proxy(sagas, {
          get(target, property) {
            if (property === 'start') return start;
            const method: unknown = Reflect.get(target, property);
            return typeof method === 'function' ? (method.bind(target) as unknown) : method;
          },
        });
      },
    });
    const starting = ['a', 'poison', 'b'].map((idempotencyKey) =>
      engine.start(program.definition, 1, { idempotencyKey }),
    );
    const settled = await bench.clock.until(Promise.allSettled(starting));
    expect(settled.map(({ status }) => status)).toEqual(['fulfilled', 'rejected', 'fulfilled']);
    await expect(starting[1]).rejects.toThrow('refused');
    expect(engine.stepsRunning).toBeLessThanOrEqual(2);
  });
});
