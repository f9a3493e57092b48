import { afterEach, describe, expect, it } from 'vitest';
import { NonRetryableError } from '../../errors/index.js';
import type { SagaStore } from '../../ports/index.js';
import { EngineBench, Gate, Program } from '../../testing/index.js';
import { IdempotencyConflictError } from '../index.js';

let bench: EngineBench;
afterEach(() => bench.close());

const id = '01890000-0000-7000-8000-00000000abcd';

describe('A saga that is started with an id of the caller', () => {
  it('is the same saga when it is started again, whatever became of it, and runs no step again', async () => {
    const gate = new Gate();
    let most = 0;
    let now = 0;
    const program = new Program({
      steps: {
        charge: {
          undo: true,
          run: async () => {
            now += 1;
            most = Math.max(most, now);
            await gate.pass();
            now -= 1;
          },
        },
        bad: {
          dependsOn: ['charge'],
          run: () => {
            throw new NonRetryableError('no');
          },
        },
      },
    });
    bench = new EngineBench([program]);
    const engine = await bench.engine();
    const first = await bench.start(engine, program, 1, { id });
    await bench.clock.advance(100);
    // While its step runs, from here, from elsewhere, and in a transaction.
    const elsewhere = await bench.engine();
    for (const one of [engine, elsewhere]) {
      expect((await bench.start(one, program, 1, { id })).id).toBe(id);
      expect((await bench.start(one, program, 1, { id: id.toUpperCase() })).id).toBe(id);
      const open = bench.transactions.begin();
      const started = bench.start(one, program, 1, { id, transaction: open });
      expect((await bench.clock.until(started)).id).toBe(id);
      open.commit();
    }
    await bench.clock.advance(20_000);
    expect(most).toBe(1);
    gate.open();
    expect((await bench.clock.until(first.outcome())).status).toBe('compensated');
    await bench.clock.advance(20_000);
    const again = await bench.start(engine, program, 1, { id });
    expect((await bench.clock.until(again.outcome())).status).toBe('compensated');
    await bench.clock.advance(20_000);
    expect(program.calls).toEqual(['step charge', 'step bad', 'compensation charge']);
  });

  it('is refused for anything else than the same start', async () => {
    const program = new Program({ steps: { a: {} } });
    const other = new Program({ steps: { a: {} } });
    bench = new EngineBench([program, other]);
    const engine = await bench.engine();
    await bench.start(engine, program, 1, { id, idempotencyKey: 'k', tenant: 't' });
    await bench.clock.advance(100);
    const starts = [
      [program, 2, { id, idempotencyKey: 'k', tenant: 't' }],
      [program, 1, { id, tenant: 't' }],
      [program, 1, { id, idempotencyKey: 'another', tenant: 't' }],
      [program, 1, { id, idempotencyKey: 'k', tenant: '' }],
      [other, 1, { id, idempotencyKey: 'k', tenant: 't' }],
    ] as const;
    for (const [saga, input, options] of starts) {
      await expect(bench.start(engine, saga, input, options)).rejects.toThrow(
        IdempotencyConflictError,
      );
      const open = bench.transactions.begin();
      await expect(
        bench.start(engine, saga, input, { ...options, transaction: open }),
      ).rejects.toThrow(IdempotencyConflictError);
      open.rollback();
    }
    await bench.clock.advance(10_000);
    expect(await bench.sagas.find({})).toHaveLength(1);
    expect(program.calls).toEqual(['step a']);
    expect(engine.sagasHere).toBe(0);
  });

  it('begins once when two are started at once, and when the answer of its start was lost', async () => {
    const program = new Program({ steps: { a: {} } });
    bench = new EngineBench([program]);
    let lose = 1;
    const engine = await bench.engine({
      store: (sagas) => {
        const start: SagaStore['start'] = async (given, transaction) => {
          const outcomes = await sagas.start(given, transaction);
          if (lose-- > 0) throw new Error('lost');
          return outcomes;
        };
        return new Proxy(sagas, {
          get(target, name) {
            if (name === 'start') return start;
            const method: unknown = Reflect.get(target, name);
            return typeof method === 'function' ? (method.bind(target) as unknown) : method;
          },
        });
      },
    });
    const other = await bench.engine();
    const handles = await bench.clock.until(
      Promise.all([engine, other, engine].map((one) => bench.start(one, program, 1, { id }))),
    );
    await bench.clock.until(Promise.all(handles.map((handle) => handle.result())));
    await bench.clock.advance(20_000);
    expect(program.calls).toEqual(['step a']);
  });
});
