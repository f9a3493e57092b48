import { afterEach, describe, expect, it } from 'vitest';
import { NonRetryableError } from '../../errors/index.js';
import type { SagaStore } from '../../ports/index.js';
import { EngineBench, Program, type ProgramOptions } from '../../testing/index.js';
import { controlMail, type SagaEngine } from '../index.js';

let bench: EngineBench;
afterEach(() => bench.close());

const fails = (): never => {
  throw new NonRetryableError('broken');
};
const hangs = (): Promise<never> => new Promise(() => undefined);

async function started(options: ProgramOptions): Promise<{
  program: Program;
  engine: SagaEngine;
  id: string;
}> {
  const program = new Program(options);
  bench = new EngineBench([program]);
  const engine = await bench.engine({ settings: { settleBoundMs: 1_000 } });
  const { id } = await bench.start(engine, program);
  await bench.clock.advance(100);
  return { program, engine, id };
}

/** The data of the entries of these kinds, in order. */
async function entriesOf(id: string, ...kinds: readonly string[]): Promise<unknown[]> {
  await bench.clock.advance(60_000);
  const history = await bench.sagas.history(id);
  return history.flatMap(({ kind, data }): unknown[] =>
    kinds.includes(kind) ? [{ kind, ...(JSON.parse(data ?? '{}') as object) }] : [],
  );
}

const stuck: ProgramOptions = {
  steps: { a: { undo: fails }, b: { dependsOn: ['a'], run: fails } },
};

describe('the history of a saga names the one who asked', () => {
  it('for a cancel', async () => {
    const { engine, id } = await started({ steps: { a: { undo: true, run: hangs } } });
    await engine.cancel(id, 'wrong order', 'ann');
    expect(await entriesOf(id, 'failing')).toEqual([
      { kind: 'failing', failure: { kind: 'cancelled', reason: 'wrong order' }, actor: 'ann' },
    ]);
  });

  it('for a retry, and for the end of a saga', async () => {
    const { engine, id } = await started(stuck);
    await engine.retry(id, 'it is back', 'ann');
    await bench.clock.advance(1_000);
    await engine.terminate(id, 'it is not', 'bob');
    expect(await entriesOf(id, 'retry_requested', 'saga_ended')).toMatchObject([
      { kind: 'retry_requested', reason: 'it is back', actor: 'ann' },
      { kind: 'saga_ended', status: 'terminated', reason: 'it is not', actor: 'bob' },
    ]);
  });

  it('for a request that came too late', async () => {
    const { program, id } = await started(stuck);
    await bench.sagas.putMail([controlMail(id, program.definition, 'cancel', 'too late', 'ann')]);
    expect(await entriesOf(id, 'mail_ignored')).toMatchObject([{ mail: 'cancel', actor: 'ann' }]);
  });

  it('for a saga whose journal cannot be read', async () => {
    const damaged = (sagas: SagaStore): SagaStore =>
      new Proxy(sagas, {
        get(target, name): unknown {
          const method: unknown = Reflect.get(target, name);
          if (typeof method !== 'function') return method;
          if (name !== 'claim' && name !== 'load')
            return (...given: unknown[]): unknown => Reflect.apply(method, target, given);
          return async (...given: unknown[]): Promise<unknown> => {
            const sagas = (await Reflect.apply(method, target, given)) as { entries: unknown[] }[];
            return sagas.map((saga) => ({ ...saga, entries: saga.entries.slice(1) }));
          };
        },
      });
    const program = new Program({ steps: { a: { run: hangs } } });
    bench = new EngineBench([program]);
    const idle = bench.idleEngine();
    const { id } = await bench.start(idle, program);
    const engine = await bench.engine({ store: damaged });
    await bench.clock.advance(1_000);
    await engine.retry(id, 'look again', 'ann');
    await bench.clock.advance(10_000);
    await engine.terminate(id, 'it is lost', 'bob');
    expect(await entriesOf(id, 'mail_ignored', 'saga_ended')).toMatchObject([
      { kind: 'mail_ignored', mail: 'retry', actor: 'ann' },
      { kind: 'saga_ended', status: 'terminated', actor: 'bob' },
    ]);
  });

  it('and nobody where no one is named', async () => {
    const { engine, id } = await started({ steps: { a: { undo: true, run: hangs } } });
    await engine.cancel(id, 'wrong order');
    expect(await entriesOf(id, 'failing')).toEqual([
      { kind: 'failing', failure: { kind: 'cancelled', reason: 'wrong order' } },
    ]);
  });
});
