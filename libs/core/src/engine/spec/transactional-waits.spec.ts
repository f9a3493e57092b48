import { afterEach, describe, expect, it } from 'vitest';
import { NonRetryableError } from '../../errors/index.js';
import type { MemoryTransaction } from '../../memory/index.js';
import type { SagaStore, Transaction } from '../../ports/index.js';
import { EngineBench, Gate, Program, type Call } from '../../testing/index.js';
import type { StepTransactions } from '../index.js';

let bench: EngineBench;
afterEach(() => bench.close());

const pause = (ms: number): Promise<void> =>
  new Promise((resolve) => bench.clock.after(ms, resolve));

/** A row of the application's own, as an UPDATE locks it. */
const touch = ({ manager }: Call): Promise<void> => (manager as MemoryTransaction).lock('stock:1');

/** Transactions on connections that others use until they are told to stop, as a pool's queue gives them. */
class BusyConnections implements StepTransactions {
  free = 0;
  readonly #waiting: (() => void)[] = [];

  async run(
    _connection: string | undefined,
    work: (manager: unknown) => Promise<void>,
    beforeCommit: (transaction: Transaction) => Promise<void>,
  ): Promise<void> {
    if (this.free > 0) this.free -= 1;
    else await new Promise<void>((resolve) => this.#waiting.push(resolve));
    await bench.transactions.run(async (transaction) => {
      await work(transaction);
      await beforeCommit(transaction);
    });
  }

  release(): void {
    this.free = 1_000;
    for (const go of this.#waiting.splice(0)) go();
  }
}

/** The store with one method of one's own while `on`. */
function withMethod<Name extends keyof SagaStore>(
  name: Name,
  on: () => boolean,
  instead: SagaStore[Name],
): (sagas: SagaStore) => SagaStore {
  return (sagas) =>
    new Proxy(sagas, {
      get(target, property) {
        const method: unknown = Reflect.get(target, property);
        if (typeof method !== 'function') return method;
        if (property === name && on()) return instead;
        return method.bind(target) as unknown;
      },
    });
}

const counted = (journal: readonly string[]): string[] =>
  journal.filter((line) => /failed|unknown|crashed/.test(line));

describe('Two transactional steps of a saga that want the same row', () => {
  it('do not wait for each other when one has the turn of the saga and the other the row', async () => {
    let conflicts = 0;
    const ready = new Gate();
    const program = new Program({
      steps: {
        a: {
          transactional: true,
          run: async (call) => {
            await pause(100);
            await touch(call);
            await ready.pass();
          },
        },
        b: {
          transactional: true,
          run: async (call) => {
            if (conflicts++ < 2) throw Object.assign(new Error('conflict'), { code: '40001' });
            await pause(300);
            await touch(call);
          },
        },
      },
    });
    bench = new EngineBench([program]);
    const engine = await bench.engine();
    const handle = await bench.start(engine, program);
    await bench.clock.advance(1_000);
    const neighbour = bench.transactions.begin();
    let waits = true;
    void neighbour.lock('stock:1').then(() => {
      waits = false;
      neighbour.rollback();
    });
    // From here on `a` is ready to commit, and `b` has the turn and wants the row.
    ready.open();
    await bench.clock.advance(1_000);
    expect(waits).toBe(false);
    expect((await bench.sagas.get(handle.id))?.status).toBe('completed');
    expect(program.calls.filter((call) => call === 'step a')).toHaveLength(1);
    expect(counted(await bench.journal(handle.id))).toEqual([]);
  });
});

describe('A transactional step that has to wait before its work begins', () => {
  const program = (calls: { undone?: boolean } = {}): Program =>
    new Program({
      steps: {
        a: { undo: () => void (calls.undone = true) },
        b: {
          dependsOn: ['a'],
          transactional: true,
          timeoutMs: 500,
          retry: { attempts: 2, backoffMs: 100 },
        },
      },
    });

  it('is charged neither time nor an attempt while others use the connections', async () => {
    const saga = program();
    bench = new EngineBench([saga]);
    const connections = new BusyConnections();
    const engine = await bench.engine({ stepTransactions: connections });
    const handle = await bench.start(engine, saga);
    await bench.clock.advance(600_000);
    expect(saga.calls).toEqual(['step a']);
    connections.release();
    await bench.clock.advance(15_000);
    expect((await bench.sagas.get(handle.id))?.status).toBe('completed');
    expect(saga.calls).toEqual(['step a', 'step b']);
    expect(counted(await bench.journal(handle.id))).toEqual([]);
    // It asks now and then, and not all the time.
    expect((await bench.journal(handle.id)).length).toBeLessThan(200);
  });

  it('is not given up for the deaths of processes in which it only waited', async () => {
    const saga = program();
    bench = new EngineBench([saga]);
    const first = await bench.engine({ stepTransactions: new BusyConnections() });
    const { id } = await bench.start(first, saga);
    // It waits, and is given back in between.
    await bench.clock.advance(60_000);
    bench.kill(first);
    for (let process = 0; process < 5; process += 1) {
      const next = await bench.engine({ stepTransactions: new BusyConnections() });
      await bench.clock.advance(61_500 + 100 * process);
      bench.kill(next);
    }
    await bench.engine();
    await bench.clock.advance(120_000);
    expect((await bench.sagas.get(id))?.status).toBe('completed');
    expect(saga.calls).toEqual(['step a', 'step b']);
  });

  it('is charged nothing for a pool that gives no connection, and fails for one that never will', async () => {
    const saga = program();
    bench = new EngineBench([saga]);
    let problem: Error | null = new Error('timeout exceeded when trying to connect');
    const engine = await bench.engine({
      stepTransactions: {
        run: async (_connection, work, beforeCommit) => {
          if (problem !== null) throw problem;
          await bench.transactions.run(async (transaction) => {
            await work(transaction);
            await beforeCommit(transaction);
          });
        },
      },
    });
    const first = await bench.start(engine, saga);
    await bench.clock.advance(300_000);
    expect(counted(await bench.journal(first.id))).toEqual([]);
    problem = null;
    await bench.clock.advance(15_000);
    expect((await bench.sagas.get(first.id))?.status).toBe('completed');

    problem = new NonRetryableError('there is no such connection');
    const second = await bench.start(engine, saga);
    await bench.clock.advance(15_000);
    expect((await bench.sagas.get(second.id))?.status).toBe('compensated');
  });

  it('stops to wait at once when its saga is cancelled', async () => {
    const calls = { undone: false };
    const saga = program(calls);
    bench = new EngineBench([saga]);
    const connections = new BusyConnections();
    const engine = await bench.engine({ stepTransactions: connections });
    const handle = await bench.start(engine, saga);
    await bench.clock.advance(10);
    await engine.cancel(handle.id);
    await bench.clock.advance(500);
    expect((await bench.sagas.get(handle.id))?.status).toBe('compensated');
    expect(calls.undone).toBe(true);
    connections.release();
    await bench.clock.advance(1_000);
    expect(saga.calls).not.toContain('step b');
  });

  it('lets others start their steps while it waits', async () => {
    const saga = program();
    const plain = new Program({ steps: { x: {}, y: { dependsOn: ['x'] } } });
    bench = new EngineBench([saga, plain]);
    const engine = await bench.engine({
      stepTransactions: new BusyConnections(),
      settings: { maxInFlight: 10, maxTransactions: 5 },
    });
    for (let n = 0; n < 50; n += 1) await bench.start(engine, saga);
    await bench.clock.advance(5_000);
    const handle = await bench.start(engine, plain);
    await bench.clock.advance(100);
    expect((await bench.sagas.get(handle.id))?.status).toBe('completed');
  });
});

describe('A transactional step that is ready to commit', () => {
  it('gives up its rows, and no attempt, while another transition of its saga is kept waiting', async () => {
    const early = new Gate();
    const late = new Gate();
    const saga = new Program({
      steps: {
        plain: { run: () => early.pass() },
        booked: {
          transactional: true,
          timeoutMs: 2_000,
          run: async (call) => {
            await touch(call);
            await late.pass();
          },
        },
      },
    });
    bench = new EngineBench([saga]);
    let locked = false;
    const engine = await bench.engine({
      store: withMethod(
        'flush',
        () => locked,
        (given) => Promise.resolve(given.map(() => ({ kind: 'busy' }) as const)),
      ),
    });
    const handle = await bench.start(engine, saga);
    await bench.clock.advance(100);
    locked = true;
    early.open();
    await bench.clock.advance(100);
    late.open();
    await bench.clock.advance(5_100);
    const neighbour = bench.transactions.begin();
    expect(neighbour.tryLock('stock:1')).toBe(true);
    neighbour.rollback();
    await bench.clock.advance(600_000);
    locked = false;
    await bench.clock.advance(15_000);
    expect((await bench.sagas.get(handle.id))?.status).toBe('completed');
    expect(counted(await bench.journal(handle.id))).toEqual([]);
  });

  it('is charged no attempt while somebody else has the row of its saga', async () => {
    const saga = new Program({
      steps: { a: { undo: true }, b: { dependsOn: ['a'], transactional: true } },
    });
    bench = new EngineBench([saga]);
    let locked = true;
    const engine = await bench.engine({
      store: withMethod(
        'apply',
        () => locked,
        () => Promise.resolve({ kind: 'busy' }),
      ),
    });
    const handle = await bench.start(engine, saga);
    await bench.clock.advance(600_000);
    expect(counted(await bench.journal(handle.id))).toEqual([]);
    expect(saga.calls.length).toBeLessThan(200);
    locked = false;
    // It is put off for longer and longer, at most for a minute.
    await bench.clock.advance(65_000);
    expect((await bench.sagas.get(handle.id))?.status).toBe('completed');
  });
});
