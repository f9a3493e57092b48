import { afterEach, describe, expect, it } from 'vitest';
import type { SagaStore } from '../../ports/index.js';
import { EngineBench, Program, type ProgramOptions } from '../../testing/index.js';
import { factHandlers } from '../facts/index.js';

/** As the store in PostgreSQL throws it in a transaction of the application whose role lacks a grant. */
const forbidden = (): Error =>
  Object.assign(new Error('The database does not let this role work on Sagaz’s tables.'), {
    code: 'SAGAZ_STORE_REFUSED',
    cause: Object.assign(new Error('permission denied for table saga'), { code: '42501' }),
  });

let bench: EngineBench;
let refuses: boolean;
afterEach(() => bench.close());

function sagas(...options: ProgramOptions[]): Program[] {
  const programs = options.map((one) => new Program(one));
  bench = new EngineBench(programs);
  refuses = true;
  return programs;
}

/** The engine's own statements succeed; the one that commits a transactional step does not. */
function refusingCommits(store: SagaStore): SagaStore {
  return new Proxy(store, {
    get(target, property) {
      const method: unknown = Reflect.get(target, property);
      if (typeof method !== 'function') return method;
      if (property !== 'apply') return method.bind(target) as unknown;
      return (...args: unknown[]): unknown =>
        refuses ? Promise.reject(forbidden()) : Reflect.apply(method, target, args);
    },
  });
}

describe('a transactional step whose commit the store refuses', () => {
  it('is tried ever more seldom, makes the process unready, and ends when the grant is there', async () => {
    let runs = 0;
    const [refused, plain] = sagas(
      { name: 'refused', steps: { a: { transactional: true, run: () => void (runs += 1) } } },
      { name: 'plain', steps: { a: {} } },
    );
    let counted = 0;
    const engine = await bench.engine({
      store: refusingCommits,
      listener: factHandlers({
        store_failed: ({ failure }) => (counted += failure === 'refused' ? 1 : 0),
      }),
    });
    const handle = await bench.start(engine, refused!);
    await bench.clock.advance(200_000);
    expect(runs).toBeGreaterThan(7);
    expect(runs).toBeLessThan(25);
    expect(counted).toBe(runs);
    expect(engine.problem).toContain("Committing the step 'a' of the saga 'refused' fails");
    const lines = bench.log.filter(({ message }) => message.includes('Committing'));
    expect(lines.length).toBeGreaterThan(2);
    expect(lines.length).toBeLessThanOrEqual(5);
    expect((await bench.journal(handle.id)).join()).not.toContain('failed');
    // Others are not held up.
    const other = await bench.start(engine, plain!);
    expect(await bench.clock.until(other.outcome())).toMatchObject({ status: 'completed' });

    refuses = false;
    expect(await bench.clock.until(handle.outcome())).toMatchObject({ status: 'completed' });
    expect(engine.problem).toBeNull();
    bench.kill(engine);
  });

  it('takes no permits from steps that nobody refuses', async () => {
    let runs = 0;
    const [refused, free] = sagas(
      {
        name: 'refused',
        steps: {
          a: {
            transactional: true,
            run: () => {
              runs += 1;
              return Promise.reject(forbidden());
            },
          },
        },
      },
      { name: 'free', steps: { a: { transactional: true } } },
    );
    const engine = await bench.engine({ settings: { maxTransactions: 2 } });
    refuses = false;
    for (let count = 0; count < 100; count += 1) await bench.start(engine, refused!);
    await bench.clock.advance(60_000);
    const handle = await bench.start(engine, free!);
    await bench.clock.advance(100);
    expect((await bench.sagas.get(handle.id))?.status).toBe('completed');
    expect(runs).toBeLessThan(2 * 15);
    bench.kill(engine);
  });

  it('is cancelled while it waits', async () => {
    const [program] = sagas({ steps: { a: { transactional: true } } });
    const engine = await bench.engine({ store: refusingCommits });
    const handle = await bench.start(engine, program!);
    await bench.clock.advance(60_000);
    await engine.cancel(handle.id);
    await bench.clock.advance(100);
    expect((await bench.sagas.get(handle.id))?.status).toBe('compensated');
    bench.kill(engine);
  });

  it('is given back at once by a shutdown, which counts as no crash', async () => {
    const [program] = sagas({ steps: { a: { transactional: true } } });
    const old = await bench.engine({ store: refusingCommits });
    const handle = await bench.start(old, program!);
    await bench.clock.advance(60_000);
    const before = bench.clock.now();
    await bench.clock.until(old.close());
    expect(bench.clock.now() - before).toBeLessThan(1_000);
    refuses = false;
    const heir = await bench.engine();
    expect(await bench.clock.until(heir.handle(handle.id).outcome())).toMatchObject({
      status: 'completed',
    });
    expect((await bench.journal(handle.id)).join()).not.toContain('crash');
  });

  it('is the step’s own failure where a grant on a table of the application is missing', async () => {
    const [program] = sagas({
      steps: {
        a: {
          transactional: true,
          run: () =>
            Promise.reject(
              Object.assign(new Error('permission denied for table seats'), {
                code: '42501',
                severity: 'ERROR',
              }),
            ),
        },
      },
    });
    const engine = await bench.engine();
    const handle = await bench.start(engine, program!);
    await bench.clock.advance(200_000);
    expect((await bench.sagas.get(handle.id))?.status).toBe('compensated');
    expect(engine.problem).toBeNull();
    bench.kill(engine);
  });
});
