import { afterEach, describe, expect, it } from 'vitest';
import { UnserializableValueError } from '../../messaging/index.js';
import type { SagaStore } from '../../ports/index.js';
import {
  EngineBench,
  FaultBoard,
  Gate,
  Program,
  type ProgramOptions,
} from '../../testing/index.js';
import {
  IdempotencyConflictError,
  SagaFailedError,
  SagaNotCommittedError,
  SagaNotFoundError,
  SagaWaitTimeoutError,
} from '../index.js';

let bench: EngineBench;
afterEach(() => bench.close());

function saga(options: ProgramOptions = { output: 'a', steps: { a: {} } }): Program {
  const program = new Program(options);
  bench = new EngineBench([program]);
  return program;
}

describe('starting a saga', () => {
  it('gives the same saga for the same key and input, whatever the order of its properties', async () => {
    const program = saga();
    const engine = await bench.engine();
    const one = await bench.start(engine, program, { a: 1, b: [2] }, { idempotencyKey: 'k' });
    const two = await bench.start(engine, program, { b: [2], a: 1 }, { idempotencyKey: 'k' });
    expect(two.id).toBe(one.id);
    expect(await bench.clock.until(two.result())).toBe('a');
    expect(program.calls).toEqual(['step a']);
  });

  it('refuses a tenant and a key that are longer together than an index holds', async () => {
    const program = saga();
    const engine = await bench.engine();
    const tenant = '漢'.repeat(500);
    const start = (idempotencyKey: string) =>
      bench.start(engine, program, null, { tenant, idempotencyKey });
    const alone = bench.start(engine, program, null, { tenant: '漢'.repeat(700) });
    await expect(alone).rejects.toThrow('tenant and idempotencyKey have 2100 bytes');
    await expect(start('k'.repeat(501))).rejects.toThrow(
      /Together, tenant and idempotencyKey have 2001 bytes\. Give them 2000 at most together/,
    );
    expect(await bench.sagas.find({})).toEqual([]);
    const handle = await start('k'.repeat(500));
    expect(await bench.clock.until(handle.result())).toBe('a');
  });

  it('refuses the same key with another input, and says what to do', async () => {
    const program = saga();
    const engine = await bench.engine();
    const first = await bench.start(engine, program, { n: 1 }, { idempotencyKey: 'k' });
    const second = bench.start(engine, program, { n: 2 }, { idempotencyKey: 'k' });
    await expect(second).rejects.toThrow(IdempotencyConflictError);
    await expect(second).rejects.toMatchObject({ sagaId: first.id, idempotencyKey: 'k' });
    expect(engine.stepsRunning).toBe(0);
  });

  it('is one saga for 20 callers with one key on two engines at once', async () => {
    const program = saga();
    const engines = [await bench.engine(), await bench.engine()];
    const handles = await bench.clock.until(
      Promise.all(
        Array.from({ length: 20 }, (_, at) => {
          const engine = engines[at % 2];
          if (engine === undefined) throw new Error();
          return bench.start(engine, program, 'same', { idempotencyKey: 'k' });
        }),
      ),
    );
    expect(new Set(handles.map(({ id }) => id)).size).toBe(1);
    for (const handle of handles) expect(await bench.clock.until(handle.result())).toBe('a');
    expect(program.calls).toEqual(['step a']);
    for (const engine of engines) expect(engine.stepsRunning).toBe(0);
  });

  it('takes starts of one moment together', async () => {
    const program = saga();
    let statements = 0;
    const engine = await bench.engine({
      store: (sagas) =>
        new Proxy(sagas, {
          get(target, property) {
            const method: unknown = Reflect.get(target, property);
            if (typeof method !== 'function') return method;
            return (...given: unknown[]): unknown => {
              if (property === 'start') statements += 1;
              return Reflect.apply(method, target, given);
            };
          },
        }),
    });
    const handles = await Promise.all(
      Array.from({ length: 100 }, () => bench.start(engine, program)),
    );
    await bench.clock.until(Promise.all(handles.map((handle) => handle.result())));
    expect(statements).toBe(1);
  });

  it('sends no more at once than a statement bears, a larger input alone', async () => {
    const program = saga();
    const groups: number[] = [];
    const engine = await bench.engine({
      settings: { flushShare: 1 },
      store: (sagas) => {
        const start: SagaStore['start'] = (started, ...more) => {
          groups.push(started.length);
          return sagas.start(started, ...more);
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
    const mebibyte = 'x'.repeat(1_024 * 1_024 - 1_024);
    const inputs = [
      ...Array.from({ length: 20 }, () => mebibyte),
      mebibyte.repeat(9),
      ...Array.from({ length: 20 }, () => 'small'),
    ];
    const handles = await bench.clock.until(
      Promise.all(inputs.map((input) => bench.start(engine, program, input))),
    );
    expect(groups).toEqual([8, 8, 4, 1, 20]);
    for (const handle of handles) expect(await bench.clock.until(handle.result())).toBe('a');
  });

  it('refuses an input that cannot be kept, before anything is started', async () => {
    const program = saga();
    const engine = await bench.engine();
    await expect(bench.start(engine, program, { when: new Date() })).rejects.toThrow(
      UnserializableValueError,
    );
    expect(await bench.sagas.find({})).toEqual([]);
  });

  it('begins when the transaction that starts it commits, at once where it is told', async () => {
    const program = saga();
    const engine = await bench.engine();
    bench.wakeUps.listening = false;
    const transaction = bench.transactions.begin();
    const after: (() => void)[] = [];
    const handle = await bench.start(engine, program, null, {
      transaction,
      afterCommit: (run) => after.push(run),
    });
    await bench.clock.advance(1_000);
    expect(program.calls).toEqual([]);
    await expect(handle.result()).rejects.toThrow(SagaNotCommittedError);
    transaction.commit();
    for (const run of after) run();
    const before = bench.clock.now();
    expect(await bench.clock.until(handle.result())).toBe('a');
    expect(bench.clock.now() - before).toBeLessThan(1_000);
    expect(await bench.commits(handle.id)).toBe(3);
  });

  it('begins all the same when nobody said that the transaction was committed', async () => {
    const program = saga();
    const engine = await bench.engine();
    const transaction = bench.transactions.begin();
    const handle = await bench.start(engine, program, null, {
      transaction,
      afterCommit: () => undefined,
    });
    transaction.commit();
    await bench.clock.advance(10_000);
    expect((await bench.sagas.get(handle.id))?.status).toBe('completed');
  });

  it('leaves nothing when that transaction is rolled back', async () => {
    const program = saga();
    const engine = await bench.engine();
    const transaction = bench.transactions.begin();
    const handle = await bench.start(engine, program, null, { transaction, idempotencyKey: 'k' });
    transaction.rollback();
    await bench.clock.advance(10_000);
    expect(program.calls).toEqual([]);
    await expect(bench.clock.until(handle.result())).rejects.toThrow(SagaNotFoundError);
    const again = await bench.start(engine, program, 'other', { idempotencyKey: 'k' });
    expect(await bench.clock.until(again.result())).toBe('a');
  });

  it('is run by somebody else where this process runs none', async () => {
    const program = saga();
    const idle = bench.idleEngine();
    const handle = await bench.start(idle, program);
    expect(await bench.sagas.get(handle.id)).toMatchObject({ owner: null, status: 'pending' });
    await bench.engine();
    expect(await bench.clock.until(handle.result())).toBe('a');
  });

  it('has a process that runs none ask the store for no work', async () => {
    const program = saga();
    const asked: PropertyKey[] = [];
    const idle = bench.idleEngine({
      store: (sagas) =>
        new Proxy(sagas, {
          get(target, property) {
            const method: unknown = Reflect.get(target, property);
            if (typeof method !== 'function') return method;
            return (...given: unknown[]): unknown => {
              asked.push(property);
              return Reflect.apply(method, target, given);
            };
          },
        }),
    });
    await bench.start(idle, program);
    await bench.clock.advance(30_000);
    expect(asked).toEqual(['start']);
  });

  it('is found by polling where no hint arrives', async () => {
    const program = saga();
    bench.wakeUps.listening = false;
    await bench.engine();
    const handle = await bench.start(bench.idleEngine(), program);
    expect(await bench.clock.until(handle.result())).toBe('a');
    expect(bench.clock.now()).toBeLessThan(3_000);
  });

  it('leaves to others what this process has no room for', async () => {
    const gate = new Gate();
    const program = saga({ steps: { a: { run: () => gate.pass() } } });
    const engine = await bench.engine({ settings: { maxSagas: 2 } });
    const handles = [];
    for (let at = 0; at < 5; at += 1) handles.push(await bench.start(engine, program));
    await bench.clock.until(gate.reached);
    await bench.clock.advance(5_000);
    expect(engine.sagasHere).toBe(2);
    gate.open();
    await bench.clock.until(Promise.all(handles.map((handle) => handle.result())));
  });

  it('is started once although the answer to its start was lost', async () => {
    const program = saga();
    let lose = true;
    const engine = await bench.engine({
      store: (sagas) =>
        new Proxy(sagas, {
          get(target, property) {
            const method: unknown = Reflect.get(target, property);
            if (typeof method !== 'function') return method;
            return async (...given: unknown[]): Promise<unknown> => {
              const answer: unknown = await Reflect.apply(method, target, given);
              if (property !== 'start' || !lose) return answer;
              lose = false;
              throw new Error('The answer was lost.');
            };
          },
        }),
    });
    const handle = await bench.clock.until(bench.start(engine, program));
    expect(await bench.clock.until(handle.result())).toBe('a');
    expect(program.calls).toEqual(['step a']);
    expect(await bench.sagas.find({})).toHaveLength(1);
  });

  it('runs the first step once although the process stumbles right after the start was committed', async () => {
    const faults = new FaultBoard().on('start.after-commit', () => {
      throw new Error('stumbled');
    });
    const program = saga();
    const engine = await bench.engine({ faults });
    await expect(bench.start(engine, program)).rejects.toThrow('stumbled');
    await bench.clock.advance(20_000);
    const [found] = await bench.sagas.find({});
    expect(found?.status).toBe('completed');
    expect(program.calls).toEqual(['step a']);
    expect(await bench.journal(found?.id ?? '')).not.toContain('step_crashed a');
  });
});

describe('a handle', () => {
  it('gives the output, and throws what happened when the saga did not complete', async () => {
    const program = saga({ steps: { a: { run: () => Promise.reject(new Error('no luck')) } } });
    const engine = await bench.engine();
    const handle = await bench.start(engine, program);
    const result = bench.clock.until(handle.result());
    await expect(result).rejects.toThrow(SagaFailedError);
    await expect(result).rejects.toThrow(/step 'a' failed: no luck/);
    await expect(result).rejects.toMatchObject({ outcome: { status: 'compensated' } });
  });

  it('stops waiting at its timeout, and says that the saga goes on', async () => {
    const gate = new Gate();
    const program = saga({ steps: { a: { run: () => gate.pass() } } });
    const engine = await bench.engine();
    const handle = await bench.start(engine, program);
    await expect(bench.clock.until(handle.result({ timeout: '5s' }))).rejects.toThrow(
      SagaWaitTimeoutError,
    );
    gate.open();
    await bench.clock.until(handle.result());
  });

  it('works in another process, with hints and without', async () => {
    for (const silent of [false, true]) {
      const gate = new Gate();
      const program = saga({
        output: 'a',
        steps: { a: { run: () => gate.pass().then(() => 42) } },
      });
      bench.wakeUps.listening = !silent;
      const engine = await bench.engine();
      const { id } = await bench.start(engine, program);
      const elsewhere = bench.idleEngine().handle(id);
      const waiting = elsewhere.result();
      await bench.clock.until(gate.reached);
      await bench.clock.advance(2_000);
      gate.open();
      expect(await bench.clock.until(waiting)).toBe(42);
      await bench.close();
    }
  });

  it('knows the end of a saga that was over long before', async () => {
    const program = saga();
    const engine = await bench.engine();
    const { id } = await bench.start(engine, program);
    await bench.clock.advance(60_000);
    expect(await bench.clock.until(engine.handle(id).outcome())).toEqual({
      status: 'completed',
      output: 'a',
    });
  });

  it('names the id of a saga that is not there', async () => {
    saga();
    const engine = await bench.engine();
    const id = '00000000-0000-7000-8000-000000000000';
    await expect(bench.clock.until(engine.handle(id).result())).rejects.toThrow(SagaNotFoundError);
    await expect(engine.cancel(id)).rejects.toThrow(id);
  });
});
