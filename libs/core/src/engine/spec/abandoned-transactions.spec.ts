import { afterEach, describe, expect, it } from 'vitest';
import { MemoryTransaction } from '../../memory/index.js';
import type { Transaction } from '../../ports/index.js';
import { EngineBench, Gate, Program, type Call, type ProgramOptions } from '../../testing/index.js';
import { abandonedWith, type StepTransactions } from '../index.js';

let bench: EngineBench;
afterEach(() => bench.close());

const MINUTE = 60_000;
const ROW = 'stock:1';

function transactionOf({ manager }: Call): MemoryTransaction {
  if (!(manager instanceof MemoryTransaction)) throw new Error('There is no transaction.');
  return manager;
}

/** Whether a transaction of somebody else gets the row at once. */
function rowIsFree(): boolean {
  const neighbour = bench.transactions.begin();
  const free = neighbour.tryLock(ROW);
  neighbour.rollback();
  return free;
}

function saga(options: ProgramOptions): Program {
  const program = new Program(options);
  bench = new EngineBench([program]);
  return program;
}

describe('The transaction of a step that hangs', () => {
  it('ends soon after the time limit of the attempt, and nothing of it commits later', async () => {
    const late = new Gate();
    const writes: Promise<void>[] = [];
    const program = saga({
      steps: {
        a: {
          transactional: true,
          timeoutMs: 1_000,
          run: async (call) => {
            const transaction = transactionOf(call);
            await transaction.lock(ROW);
            const write = late.opened.then(() => transaction.statement(() => undefined));
            writes.push(write);
            await write;
          },
        },
      },
    });
    const engine = await bench.engine({ settings: { settleBoundMs: 2_000 } });
    const handle = await bench.start(engine, program);
    await bench.clock.advance(2_900);
    expect(rowIsFree()).toBe(false);
    await bench.clock.advance(200);
    expect(rowIsFree()).toBe(true);
    expect((await bench.clock.until(handle.outcome())).status).toBe('compensated');
    late.open();
    const [write] = writes;
    await expect(write).rejects.toThrow('a transaction that has ended');
    expect(await bench.journal(handle.id)).not.toContain('step_late_success a');
  });

  it('ends while it waits for a lock, which it does not get later either', async () => {
    const program = saga({
      steps: {
        a: {
          transactional: true,
          timeoutMs: 1_000,
          run: (call) => transactionOf(call).lock(ROW),
        },
      },
    });
    const engine = await bench.engine({ settings: { settleBoundMs: 2_000 } });
    const neighbour = bench.transactions.begin();
    neighbour.tryLock(ROW);
    const handle = await bench.start(engine, program);
    expect((await bench.clock.until(handle.outcome())).status).toBe('compensated');
    neighbour.rollback();
    expect(rowIsFree()).toBe(true);
  });

  it('ends with the engine that shuts down, and the next engine runs the step', async () => {
    let runs = 0;
    const program = saga({
      steps: {
        a: {
          transactional: true,
          run: async (call) => {
            runs += 1;
            await transactionOf(call).lock(ROW);
            if (runs === 1) await new Promise(() => undefined);
          },
        },
      },
    });
    const old = await bench.engine({ settings: { shutdownMs: 5_000 } });
    const handle = await bench.start(old, program);
    await bench.clock.advance(100);
    expect(rowIsFree()).toBe(false);
    await bench.clock.until(old.close());
    expect(rowIsFree()).toBe(true);
    const heir = await bench.engine();
    expect((await bench.clock.until(heir.handle(handle.id).outcome())).status).toBe('completed');
    expect(runs).toBe(2);
  });

  it('ends with its engine, too, when the saga was terminated meanwhile', async () => {
    const program = saga({
      steps: {
        a: {
          transactional: true,
          run: async (call) => {
            await transactionOf(call).lock(ROW);
            await new Promise(() => undefined);
          },
        },
      },
    });
    const engine = await bench.engine({ settings: { settleBoundMs: 10 * MINUTE } });
    const handle = await bench.start(engine, program);
    await bench.clock.advance(100);
    await engine.terminate(handle.id, 'by hand');
    await bench.clock.advance(1_000);
    expect((await bench.sagas.get(handle.id))?.status).toBe('terminated');
    expect(rowIsFree()).toBe(false);
    await bench.clock.until(engine.close());
    await bench.clock.settle();
    expect(rowIsFree()).toBe(true);
  });
});

describe('A statement that hangs beside the commit of a step', () => {
  /** As a subscriber of TypeORM whose statement before the commit is never answered, the first time. */
  class HangingCommit implements StepTransactions {
    commits = 0;

    run(
      _connection: string | undefined,
      work: (manager: unknown) => Promise<void>,
      beforeCommit: (transaction: Transaction) => Promise<void>,
      unwanted?: AbortSignal,
    ): Promise<void> {
      const cut = new Promise<never>((_resolve, reject) => {
        unwanted?.addEventListener('abort', () => reject(new Error('Connection terminated')));
      });
      return abandonedWith(bench.transactions, unwanted, (opened) =>
        bench.transactions.run(async (transaction) => {
          opened(transaction);
          await work(transaction);
          await beforeCommit(transaction);
          this.commits += 1;
          if (this.commits === 1) await cut;
        }),
      );
    }
  }

  it('keeps the saga and its connection for a minute at most, and the attempt failed', async () => {
    const program = saga({
      steps: {
        a: {
          transactional: true,
          retry: { attempts: 2, backoffMs: 10 },
          run: (call) => transactionOf(call).lock(ROW),
        },
      },
    });
    const stepTransactions = new HangingCommit();
    const engine = await bench.engine({ stepTransactions });
    const handle = await bench.start(engine, program);
    await bench.clock.advance(59_000);
    expect(rowIsFree()).toBe(false);
    await bench.clock.advance(5_000);
    expect((await bench.sagas.get(handle.id))?.status).toBe('completed');
    expect(await bench.journal(handle.id)).toContain('step_attempt_failed a');
    expect(stepTransactions.commits).toBe(2);
    expect(rowIsFree()).toBe(true);
  });
});
