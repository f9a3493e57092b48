import { afterEach, describe, expect, it } from 'vitest';
import type { SagaStore, SagaTransition, TransitionOutcome } from '../../ports/index.js';
import { EngineBench, Gate, Program, type ProgramOptions } from '../../testing/index.js';

let bench: EngineBench;
afterEach(() => bench.close());

function saga(options: ProgramOptions = { steps: { a: {}, b: { dependsOn: ['a'] } } }): Program {
  const program = new Program(options);
  bench = new EngineBench([program]);
  return program;
}

type Flush = SagaStore['flush'];

/** The store with another flush. */
const withFlush =
  (make: (real: Flush) => Flush) =>
  (sagas: SagaStore): SagaStore =>
    new Proxy(sagas, {
      get(target, property) {
        const method: unknown = Reflect.get(target, property);
        if (typeof method !== 'function') return method;
        if (property === 'flush') return make((transitions) => target.flush(transitions));
        return method.bind(target) as unknown;
      },
    });

describe('committing transitions', () => {
  it('takes those of many sagas together, and none of a saga twice', async () => {
    const program = saga();
    const groups: number[] = [];
    const engine = await bench.engine({
      store: withFlush((real) => (transitions) => {
        groups.push(transitions.length);
        expect(new Set(transitions.map(({ sagaId }) => sagaId)).size).toBe(transitions.length);
        return real(transitions);
      }),
    });
    const handles = await Promise.all(
      Array.from({ length: 300 }, () => bench.start(engine, program)),
    );
    await bench.clock.until(Promise.all(handles.map((handle) => handle.result())));
    expect(groups.reduce((a, b) => a + b, 0)).toBe(600);
    expect(groups.length).toBeLessThan(20);
  });

  it('sends no more of them at once than the limit of a flush', async () => {
    const program = saga();
    const groups: number[] = [];
    const engine = await bench.engine({
      settings: { flushers: 1, flushShare: 5, flushGroup: 10 },
      store: withFlush((real) => (transitions) => {
        groups.push(transitions.length);
        return real(transitions);
      }),
    });
    const handles = await Promise.all(
      Array.from({ length: 45 }, () => bench.start(engine, program)),
    );
    await bench.clock.until(Promise.all(handles.map((handle) => handle.result())));
    expect(groups.reduce((a, b) => a + b, 0)).toBe(90);
    expect(Math.max(...groups)).toBe(10);
  });

  it('puts what comes while flushes are in flight into the next one, with several in flight', async () => {
    const program = saga({ steps: { a: {} } });
    let inFlight = 0;
    let most = 0;
    const engine = await bench.engine({
      settings: { flushers: 3, flushShare: 10 },
      store: withFlush((real) => async (transitions) => {
        inFlight += 1;
        most = Math.max(most, inFlight);
        await new Promise<void>((resolve) => bench.clock.after(5, resolve));
        const outcomes = await real(transitions);
        inFlight -= 1;
        return outcomes;
      }),
    });
    const handles = [];
    for (let round = 0; round < 8; round += 1) {
      handles.push(
        ...(await Promise.all(Array.from({ length: 12 }, () => bench.start(engine, program)))),
      );
      await bench.clock.advance(1);
    }
    await bench.clock.until(Promise.all(handles.map((handle) => handle.result())));
    expect(most).toBe(3);
  });

  it('settles each transition of a flush that had no answer, and repeats only what is not there', async () => {
    for (const applied of [true, false]) {
      const program = saga();
      let lose = 3;
      const engine = await bench.engine({
        store: withFlush((real) => async (transitions) => {
          if (lose <= 0) return real(transitions);
          lose -= 1;
          if (applied) await real(transitions);
          throw new Error('The connection was lost.');
        }),
      });
      const handles = await Promise.all(
        Array.from({ length: 20 }, () => bench.start(engine, program)),
      );
      await bench.clock.until(Promise.all(handles.map((handle) => handle.result())));
      expect(program.calls).toHaveLength(40);
      for (const { id } of handles) expect(await bench.commits(id)).toBe(3);
      await bench.close();
    }
  });

  it('waits while the store is away; nothing is lost, nothing is run twice, no crash is counted', async () => {
    let away = false;
    const program = saga({
      steps: {
        a: {
          run: () => {
            away = true;
          },
        },
        b: { dependsOn: ['a'] },
      },
    });
    const unreachable = (): Promise<never> => Promise.reject(new Error('away'));
    const engine = await bench.engine({
      store: (sagas) =>
        new Proxy(sagas, {
          get(target, property) {
            const method: unknown = Reflect.get(target, property);
            if (typeof method !== 'function') return method;
            return (...given: unknown[]): unknown =>
              away ? unreachable() : Reflect.apply(method, target, given);
          },
        }),
    });
    const handle = await bench.start(engine, program);
    await bench.clock.advance(60_000);
    expect(program.calls).toEqual(['step a']);
    away = false;
    await bench.clock.until(handle.result());
    expect(program.calls).toEqual(['step a', 'step b']);
    expect((await bench.journal(handle.id)).filter((line) => line.includes('crashed'))).toEqual([]);
  });

  it('sends a busy one again, alone', async () => {
    const program = saga({ steps: { a: {} } });
    const sizes: number[] = [];
    let busy = 2;
    const engine = await bench.engine({
      store: withFlush((real) => async (transitions) => {
        sizes.push(transitions.length);
        if (busy <= 0) return real(transitions);
        busy -= 1;
        return transitions.length === 1
          ? [{ kind: 'busy' }]
          : [{ kind: 'busy' }, ...(await real(transitions.slice(1)))];
      }),
    });
    const handles = await Promise.all(
      Array.from({ length: 5 }, () => bench.start(engine, program)),
    );
    await bench.clock.until(Promise.all(handles.map((handle) => handle.result())));
    expect(sizes).toEqual([5, 1, 1]);
  });

  it('loads a saga anew whose memory does not fit the store, and runs no step of it twice at once', async () => {
    let conflict = true;
    let running = 0;
    let most = 0;
    const gate = new Gate();
    const program = saga({
      steps: {
        a: {},
        slow: {
          run: async () => {
            running += 1;
            most = Math.max(most, running);
            await gate.pass();
            running -= 1;
          },
        },
      },
    });
    const engine = await bench.engine({
      store: withFlush((real) => async (transitions) => {
        if (!conflict) return real(transitions);
        conflict = false;
        return transitions.map((): TransitionOutcome => ({ kind: 'conflict', revision: 9 }));
      }),
    });
    const handle = await bench.start(engine, program);
    await bench.clock.advance(10_000);
    gate.open();
    await bench.clock.until(handle.result());
    expect(most).toBe(1);
  });

  it('undoes no step whose promise is unsettled here, also when its saga was loaded anew meanwhile', async () => {
    let conflict = true;
    const gate = new Gate();
    const program = saga({
      steps: {
        slow: { undo: true, run: () => gate.pass() },
        bad: { run: () => gate.reached.then(() => Promise.reject(new Error('no'))) },
      },
    });
    const engine = await bench.engine({
      store: withFlush((real) => async (transitions) => {
        if (!conflict) return real(transitions);
        conflict = false;
        return transitions.map((): TransitionOutcome => ({ kind: 'conflict', revision: 9 }));
      }),
    });
    const handle = await bench.start(engine, program);
    await bench.clock.advance(10_000);
    expect(program.calls).not.toContain('compensation slow');
    gate.open();
    expect((await bench.clock.until(handle.outcome())).status).toBe('compensated');
    expect(program.calls).toContain('compensation slow');
  });

  it('undoes a step that failed in doubt, although nobody took its failure when its saga was loaded anew', async () => {
    let conflict = true;
    const program = saga({
      steps: {
        a: {
          undo: true,
          retry: { attempts: 3, backoffMs: 10_000 },
          run: () => Promise.reject(new Error('socket hang up')),
        },
      },
    });
    const engine = await bench.engine({
      store: withFlush((real) => async (transitions) => {
        if (!conflict) return real(transitions);
        conflict = false;
        // It lies there when the saga is loaded: nothing of it runs once more.
        for (const { sagaId } of transitions) await engine.cancel(sagaId);
        return transitions.map((): TransitionOutcome => ({ kind: 'conflict', revision: 9 }));
      }),
    });
    const handle = await bench.start(engine, program);
    expect((await bench.clock.until(handle.outcome())).status).toBe('compensated');
    expect(program.calls).toEqual(['step a', 'compensation a']);
  });

  it('turns a result that the store refuses into a failure, however many came beside it', async () => {
    const poisoned = (one: SagaTransition): boolean =>
      one.entries.some(({ data }) => data?.includes('poison') === true);
    const program = saga({
      steps: { a: { run: () => 'poison', undo: true }, b: {}, c: {} },
    });
    const engine = await bench.engine({
      store: withFlush((real) => async (transitions) => {
        const fine = transitions.filter((one) => !poisoned(one));
        const outcomes = await real(fine);
        return transitions.map((one): TransitionOutcome => {
          const at = fine.indexOf(one);
          return outcomes[at] ?? { kind: 'rejected', error: new Error('cannot be stored') };
        });
      }),
    });
    const handle = await bench.start(engine, program);
    const outcome = await bench.clock.until(handle.outcome());
    expect(outcome).toMatchObject({
      status: 'compensated',
      failure: { cause: { step: 'a', error: { name: 'UnstorableResultError' } } },
    });
    const journal = await bench.journal(handle.id);
    expect(journal).toContain('step_completed b');
    expect(program.calls).toContain('compensation a');
  });

  it('asks for a person when the store refuses whatever the saga wants to journal', async () => {
    const program = saga({ steps: { a: { run: () => Promise.reject(new Error('poison')) } } });
    const engine = await bench.engine({
      store: withFlush((real) => async (transitions) => {
        const [first] = transitions;
        const attention = first?.entries.some(({ kind }) => kind === 'needs_attention') === true;
        return attention ? real(transitions) : [{ kind: 'rejected', error: new Error('no') }];
      }),
    });
    const handle = await bench.start(engine, program);
    const outcome = await bench.clock.until(handle.outcome());
    expect(outcome).toMatchObject({ status: 'needs_attention', reason: 'journal_refused' });
  });
});
