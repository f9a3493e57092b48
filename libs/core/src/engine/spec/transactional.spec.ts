import { afterEach, describe, expect, it } from 'vitest';
import { CommitUnknownError } from '../../errors/index.js';
import { MemoryTable, MemoryTransaction } from '../../memory/index.js';
import type { SagaTransition } from '../../ports/index.js';
import {
  EngineBench,
  FaultBoard,
  Gate,
  Program,
  type Call,
  type ProgramOptions,
} from '../../testing/index.js';
import { storeTransactions } from '../index.js';

let bench: EngineBench;
/** The application's own table. */
let rows: MemoryTable<string>;
afterEach(() => bench.close());

function saga(options: ProgramOptions): Program {
  const program = new Program(options);
  bench = new EngineBench([program]);
  rows = new MemoryTable();
  return program;
}

function write({ manager }: Call, key: string): void {
  if (!(manager instanceof MemoryTransaction)) throw new Error('There is no transaction.');
  rows.set(key, 'written', manager);
}

describe('a transactional step', () => {
  it('commits its writes with its completion, in one transaction and one commit', async () => {
    const program = saga({
      output: 'c',
      steps: {
        a: {},
        b: { dependsOn: ['a'], transactional: true, run: (call) => write(call, 'b') },
        c: { dependsOn: ['b'] },
      },
    });
    const engine = await bench.engine();
    const handle = await bench.start(engine, program);
    expect(await bench.clock.until(handle.result())).toBe('c');
    expect(rows.get('b')).toBe('written');
    expect(await bench.commits(handle.id)).toBe(4);
  });

  it('leaves nothing behind when it fails, is never in doubt, and so needs no undo', async () => {
    const program = saga({
      steps: {
        a: {
          transactional: true,
          undo: true,
          run: (call) => {
            write(call, 'a');
            throw new Error('no');
          },
        },
      },
    });
    const engine = await bench.engine();
    const handle = await bench.start(engine, program);
    expect((await bench.clock.until(handle.outcome())).status).toBe('compensated');
    expect(rows.size).toBe(0);
    expect(program.calls).toEqual(['step a']);
  });

  it('fails when an error of its database was swallowed: nothing was committed', async () => {
    const program = saga({
      steps: {
        a: {
          transactional: true,
          run: async (call) => {
            write(call, 'a');
            if (!(call.manager instanceof MemoryTransaction)) return;
            await call.manager
              .statement(() => {
                throw new Error('unique violation');
              })
              .catch(() => undefined);
            return 'all is well';
          },
        },
      },
    });
    const engine = await bench.engine();
    const handle = await bench.start(engine, program);
    const outcome = await bench.clock.until(handle.outcome());
    expect(outcome).toMatchObject({
      status: 'compensated',
      failure: { cause: { error: { name: 'TransactionAbortedError' } } },
    });
    expect(rows.size).toBe(0);
    expect(await bench.journal(handle.id)).not.toContain('step_completed a');
  });

  it('rolls back the writes of an engine that was replaced before its commit', async () => {
    const gate = new Gate();
    const runs: string[] = [];
    const program = saga({
      steps: {
        a: {
          transactional: true,
          run: async (call) => {
            runs.push(call.context.sagaId);
            write(call, `run ${runs.length}`);
            if (runs.length === 1) await gate.pass();
          },
        },
      },
    });
    bench.wakeUps.listening = false;
    const frozen = await bench.engine({ settings: { pollMs: 600_000 } });
    const handle = await bench.start(frozen, program);
    await bench.clock.until(gate.reached);
    // Past its first round of claims: it asks no more, and cannot take its own saga anew.
    await bench.clock.advance(10);
    await bench.engines.retire(frozen.incarnation);
    const heir = await bench.engine();
    // Before the next heartbeat, so that only the fence can tell it of its death.
    await bench.clock.advance(2_500);
    expect((await bench.clock.until(heir.handle(handle.id).outcome())).status).toBe('completed');
    expect(bench.clock.now()).toBeLessThan(3_000);
    gate.open();
    await bench.clock.advance(1_000);
    expect(rows.entries().map(([key]) => key)).toEqual(['run 2']);
  });

  it('looks, and does not repeat, when the answer to its commit was lost', async () => {
    for (const fate of ['committed', 'rolled_back'] as const) {
      const faults = new FaultBoard();
      const program = saga({
        steps: {
          a: {
            transactional: true,
            retry: { attempts: 3 },
            run: (call) => write(call, `${fate} ${call.context.attempt}`),
          },
        },
      });
      faults.on('step.before-commit', () => bench.transactions.loseNextCommitAnswer(fate));
      const engine = await bench.engine({ faults });
      const handle = await bench.start(engine, program);
      await bench.clock.until(handle.result());
      const attempt = fate === 'committed' ? 1 : 2;
      expect(rows.entries().map(([key]) => key)).toEqual([`${fate} ${attempt}`]);
      const journal = await bench.journal(handle.id);
      expect(journal.filter((line) => line === 'step_completed a')).toHaveLength(1);
      await bench.close();
    }
  });

  it('counts no attempt when the database asks for the same work again', async () => {
    let conflicts = 3;
    const program = saga({
      steps: {
        a: {
          transactional: true,
          run: () => {
            conflicts -= 1;
            if (conflicts >= 0) throw Object.assign(new Error('serialization'), { code: '40001' });
            return 'done';
          },
        },
      },
      output: 'a',
    });
    const engine = await bench.engine();
    const handle = await bench.start(engine, program);
    expect(await bench.clock.until(handle.result())).toBe('done');
    expect(program.calls).toHaveLength(4);
    expect(await bench.journal(handle.id)).not.toContain('step_attempt_failed a');
  });

  it('counts an attempt for a conflict that another database reported', async () => {
    const foreign = Object.assign(new Error('serialization'), { code: '40001' });
    const program = saga({
      steps: { a: { transactional: true, run: () => Promise.reject(foreign) } },
    });
    const engine = await bench.engine({
      stepTransactions: {
        ...storeTransactions(bench.transactions),
        reported: (_connection, error) => error !== foreign,
      },
    });
    const handle = await bench.start(engine, program);
    expect((await bench.clock.until(handle.outcome())).status).toBe('compensated');
    expect(program.calls).toHaveLength(1);
  });

  it('holds back the transitions of its siblings after two conflicts, so that the third run can pass', async () => {
    const running = new Gate();
    let runs = 0;
    const program = saga({
      steps: {
        a: {
          transactional: true,
          run: async () => {
            runs += 1;
            if (runs <= 2) throw Object.assign(new Error('serialization'), { code: '40001' });
            await running.pass();
          },
        },
        sibling: { run: () => running.reached },
      },
    });
    const engine = await bench.engine();
    const handle = await bench.start(engine, program);
    await bench.clock.until(running.reached);
    await bench.clock.advance(1_000);
    expect(await bench.journal(handle.id)).not.toContain('step_completed sibling');
    running.open();
    expect((await bench.clock.until(handle.outcome())).status).toBe('completed');
  });

  it('does not get its commit once it was aborted, and its outcome is known', async () => {
    const working = new Gate();
    const program = saga({
      steps: {
        a: {
          transactional: true,
          undo: true,
          run: async (call) => {
            write(call, 'a');
            await working.pass();
          },
        },
        bad: { run: () => working.reached.then(() => Promise.reject(new Error('no'))) },
      },
    });
    const engine = await bench.engine();
    const handle = await bench.start(engine, program);
    await bench.clock.until(working.reached);
    await bench.clock.advance(100);
    working.open();
    expect((await bench.clock.until(handle.outcome())).status).toBe('compensated');
    expect(rows.size).toBe(0);
    expect(program.calls).not.toContain('compensation a');
  });

  it('waits with its commit for a transition that is in flight: nobody misses the join', async () => {
    const faults = new FaultBoard();
    const committing = faults.gate('step.before-commit');
    const sibling = new Gate();
    const flushing = new Gate();
    const outcomes: string[] = [];
    const program = saga({
      steps: {
        a: { transactional: true, run: (call) => write(call, 'a') },
        b: { run: () => sibling.pass() },
        join: { dependsOn: ['a', 'b'] },
      },
    });
    const engine = await bench.engine({
      faults,
      store: (sagas) =>
        new Proxy(sagas, {
          get(target, property) {
            const method: unknown = Reflect.get(target, property);
            if (typeof method !== 'function') return method;
            if (property !== 'flush') return method.bind(target) as unknown;
            return async (transitions: readonly SagaTransition[]) => {
              await flushing.pass();
              const answer = await target.flush(transitions);
              outcomes.push(...answer.map(({ kind }) => kind));
              return answer;
            };
          },
        }),
    });
    const handle = await bench.start(engine, program);
    await bench.clock.until(Promise.all([committing.reached, sibling.reached]));
    sibling.open();
    await bench.clock.until(flushing.reached);
    committing.open();
    await bench.clock.settle();
    flushing.open();
    await bench.clock.until(handle.result());
    expect([...program.calls].sort()).toEqual(['step a', 'step b', 'step join']);
    expect(new Set(outcomes)).toEqual(new Set(['applied']));
  });

  it('runs no more transactions at once than it is allowed', async () => {
    let open = 0;
    let most = 0;
    const program = saga({
      steps: {
        a: {
          transactional: true,
          run: async () => {
            open += 1;
            most = Math.max(most, open);
            await new Promise<void>((resolve) => bench.clock.after(10, resolve));
            open -= 1;
          },
        },
      },
    });
    const engine = await bench.engine({ settings: { maxTransactions: 2 } });
    const handles = await Promise.all(
      Array.from({ length: 10 }, () => bench.start(engine, program)),
    );
    await bench.clock.until(Promise.all(handles.map((handle) => handle.result())));
    expect(most).toBe(2);
  });

  it('survives a lost commit answer that says so only through its framework', async () => {
    const program = saga({
      steps: { a: { transactional: true, run: (call) => write(call, 'a') } },
    });
    const engine = await bench.engine({
      stepTransactions: {
        async run(_connection, work, beforeCommit) {
          await bench.transactions.run(async (transaction) => {
            await work(transaction);
            await beforeCommit(transaction);
          });
          throw new CommitUnknownError();
        },
      },
    });
    const handle = await bench.start(engine, program);
    expect((await bench.clock.until(handle.outcome())).status).toBe('completed');
    expect(program.calls).toHaveLength(1);
  });
});
