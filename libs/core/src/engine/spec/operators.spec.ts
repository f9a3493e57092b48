import { afterEach, describe, expect, it } from 'vitest';
import { NonRetryableError } from '../../errors/index.js';
import {
  EngineBench,
  Gate,
  Program,
  type Behaviour,
  type ProgramOptions,
} from '../../testing/index.js';
import type { SagaEngine } from '../index.js';
import {
  controlMail,
  historyData,
  POSITION_LOOK,
  positionOf,
  SagaEndedError,
  SagaNotFoundError,
} from '../index.js';

let bench: EngineBench;
afterEach(() => bench.close());

const fails = (): never => {
  throw new NonRetryableError('broken');
};
/** Ends only when it is told to. */
const hangs: Behaviour = ({ context }) =>
  new Promise((_resolve, reject) => {
    context.signal.addEventListener('abort', () => reject(new Error('stopped')));
  });
/** Does not even end then. */
const deaf: Behaviour = () => new Promise(() => undefined);
const HOUR = 3_600_000;

async function started(options: ProgramOptions): Promise<{
  program: Program;
  engine: SagaEngine;
  id: string;
  status: () => Promise<string | undefined>;
}> {
  const program = new Program(options);
  bench = new EngineBench([program]);
  const engine = await bench.engine({ settings: { settleBoundMs: 1_000 } });
  const { id } = await bench.start(engine, program);
  await bench.clock.advance(100);
  return { program, engine, id, status: async () => (await bench.sagas.get(id))?.status };
}

/** A step that failed, and beside it one that the strategy waits for. */
const waiting = (
  strategy: Pick<ProgramOptions, 'failureStrategy' | 'graceMs' | 'deadlineMs'>,
): ProgramOptions => ({
  ...strategy,
  steps: {
    first: { undo: true },
    bad: { dependsOn: ['first'], run: fails },
    slow: { dependsOn: ['first'], undo: true, timeoutMs: false, run: hangs },
  },
});

describe('a saga that waits for the siblings of a step that failed', () => {
  for (const strategy of [
    { failureStrategy: 'wait-all' },
    { failureStrategy: 'fail-fast-with-grace', graceMs: HOUR },
  ] as const) {
    it(`stops waiting at its deadline (${strategy.failureStrategy})`, async () => {
      const { status } = await started(waiting({ ...strategy, deadlineMs: 10_000 }));
      await bench.clock.advance(9_000);
      expect(await status()).toBe('running');
      await bench.clock.advance(2_000);
      expect(await status()).toBe('compensated');
    });

    it(`stops waiting at a cancel (${strategy.failureStrategy})`, async () => {
      const { engine, id, status } = await started(waiting(strategy));
      const answer = await engine.cancel(id, 'please');
      expect(answer).toEqual({
        sagaId: id,
        request: 'cancel',
        status: 'running',
        acts: true,
        effect: 'stops, and undoes what it did',
      });
      await bench.clock.advance(1_000);
      expect(await status()).toBe('compensated');
    });
  }

  it('stops waiting behind its point of no return too, and keeps what that committed', async () => {
    const { engine, id, status, program } = await started({
      failureStrategy: 'wait-all',
      steps: {
        pay: { pivot: true },
        bad: { dependsOn: ['pay'], run: fails },
        slow: { dependsOn: ['pay'], undo: true, timeoutMs: false, run: hangs },
      },
    });
    await engine.cancel(id);
    await bench.clock.advance(1_000);
    expect(await status()).toBe('partially_committed');
    expect(program.calls).toContain('compensation slow');
  });
});

describe('a cancel', () => {
  it('does nothing behind the point of no return, and answers why', async () => {
    const { engine, id } = await started({
      steps: { pay: { pivot: true }, ship: { dependsOn: ['pay'], run: hangs } },
    });
    expect(await engine.cancel(id)).toEqual({
      sagaId: id,
      request: 'cancel',
      status: 'running',
      acts: false,
      why: 'its point of no return is passed',
    });
    expect(await bench.unreadMail(engine)).toEqual([]);
  });

  it('does nothing while the saga undoes already or comes to rest, and answers why', async () => {
    const { engine, id } = await started({
      steps: { a: { undo: hangs }, b: { dependsOn: ['a'], run: fails } },
    });
    const undoing = 'it undoes what it did already; each attempt of that has a time limit';
    expect(await engine.cancel(id)).toMatchObject({ acts: false, why: undoing });
    const other = await started({ steps: { a: { timeoutMs: false, run: deaf } } });
    await other.engine.cancel(other.id);
    await bench.clock.advance(100);
    const stopped = 'it was stopped before, and comes to rest';
    expect(await other.engine.cancel(other.id)).toMatchObject({ acts: false, why: stopped });
  });

  it('that meets another state when it is read is ignored, with a trace', async () => {
    const shipping = new Gate();
    const { id, status, program } = await started({
      steps: { pay: { pivot: true }, ship: { dependsOn: ['pay'], run: () => shipping.pass() } },
    });
    await bench.sagas.putMail([controlMail(id, program.definition, 'cancel', 'too late')]);
    await bench.clock.advance(2_000);
    expect(await bench.journal(id)).toContain('mail_ignored');
    shipping.open();
    await bench.clock.advance(1_000);
    expect(await status()).toBe('completed');
  });
});

describe('a retry', () => {
  it('goes on at once with what waits for its next attempt', async () => {
    let broken = true;
    const retry = { attempts: 3, backoffMs: HOUR, maxDelayMs: HOUR };
    const { engine, id, status } = await started({
      steps: { a: { retry, run: () => (broken ? Promise.reject(new Error('503')) : 'done') } },
    });
    expect(await status()).toBe('waiting');
    broken = false;
    const effect = "tries again at once: the step 'a'";
    expect(await engine.retry(id)).toMatchObject({ acts: true, effect });
    await bench.clock.advance(2_000);
    expect(await status()).toBe('completed');
  });

  for (const [how, undo] of [
    ['hangs until it is told to stop', hangs],
    ['does not stop even then', deaf],
  ] as const) {
    it(`lets a compensation begin again that ${how}`, async () => {
      let runs = 0;
      const { engine, id, status, program } = await started({
        steps: {
          a: {
            timeoutMs: false,
            undo: (call) => {
              runs += 1;
              return runs === 1 ? undo(call) : 'undone';
            },
          },
          b: { dependsOn: ['a'], run: fails },
        },
      });
      await bench.clock.advance(HOUR);
      expect(await status()).toBe('compensating');
      const effect = "tries again at once: the compensation 'a'";
      expect(await engine.retry(id)).toMatchObject({ acts: true, effect });
      await bench.clock.advance(5_000);
      expect(await status()).toBe('compensated');
      // It used up no attempt: the policy of the program allows one.
      expect(program.calls.filter((call) => call === 'compensation a')).toHaveLength(2);
    });
  }

  it("keeps the operator's reason, and the reason why the saga compensates", async () => {
    let away = true;
    const { engine, id, status } = await started({
      steps: {
        a: { timeoutMs: false, undo: (call) => (away ? fails() : hangs(call)) },
        b: { dependsOn: ['a'], run: fails },
      },
    });
    const view = async () => {
      const latest = await bench.sagas.latestEntries({ ids: [id], ...POSITION_LOOK });
      return positionOf(latest.get(id) ?? []);
    };
    expect(await view()).toMatchObject({ reason: 'compensation_failed', step: 'a' });
    away = false;
    await engine.retry(id, 'The printer is back.');
    await bench.clock.advance(1_000);
    expect(await status()).toBe('compensating');
    expect(await view()).toMatchObject({ reason: 'step_failed', detail: 'broken', step: 'b' });
    const requested = (await engine.history(id)).filter(({ kind }) => kind === 'retry_requested');
    expect(requested.map(({ data }) => historyData(data))).toEqual([
      { again: [{ role: 'compensation', step: 'a', item: null }], reason: 'The printer is back.' },
    ]);
    // The next engine reads it, too.
    const state = await (await bench.engine()).retry(id);
    expect(state).toMatchObject({ acts: true });
  });

  it('leaves a step alone that runs, and answers why', async () => {
    const { engine, id, status } = await started({ steps: { a: { run: hangs } } });
    const answer = await engine.retry(id);
    expect(answer).toMatchObject({ acts: false });
    expect('why' in answer && answer.why).toContain('none of its tasks waits for another attempt');
    await bench.clock.advance(1_000);
    expect(await status()).toBe('running');
  });
});

describe('an attempt that hangs, whatever it is of', () => {
  const one = (role: 'step' | 'compensation' | 'recovery'): ProgramOptions => {
    switch (role) {
      case 'step':
        return { steps: { a: { run: deaf, undo: true } } };
      case 'compensation':
        return { steps: { a: { undo: deaf }, b: { dependsOn: ['a'], run: fails } } };
      case 'recovery':
        return {
          steps: { pay: { pivot: true }, b: { dependsOn: ['pay'], run: fails, recover: deaf } },
        };
    }
  };
  for (const [role, end] of [
    ['step', 'compensated'],
    ['compensation', 'needs_attention'],
    ['recovery', 'needs_attention'],
  ] as const) {
    it(`is given up after 15 minutes: a ${role}`, async () => {
      const { status } = await started(one(role));
      const before = await status();
      await bench.clock.advance(14 * 60_000);
      expect(await status()).toBe(before);
      await bench.clock.advance(2 * 60_000);
      expect(await status()).toBe(end);
    });
  }

  it('is not, where that is waived', async () => {
    const { status } = await started({ steps: { a: { run: deaf, timeoutMs: false } } });
    await bench.clock.advance(2 * HOUR);
    expect(await status()).toBe('running');
  });
});

describe('a saga that has ended', () => {
  for (const request of ['cancel', 'retry', 'terminate'] as const) {
    it(`refuses to ${request}, and says so`, async () => {
      const { engine, id, status } = await started({ steps: { a: {} } });
      expect(await status()).toBe('completed');
      const refusal = engine[request](id);
      await expect(refusal).rejects.toThrow(SagaEndedError);
      await expect(refusal).rejects.toThrow(`it has ended as 'completed'`);
      await expect(refusal).rejects.toMatchObject({ sagaId: id, request, status: 'completed' });
      expect(await bench.unreadMail(engine)).toEqual([]);
    });
  }

  it('is told from one that is not there', async () => {
    const { engine } = await started({ steps: { a: {} } });
    const nobody = '01890000-0000-7000-8000-000000000009';
    await expect(engine.retry(nobody)).rejects.toThrow(SagaNotFoundError);
  });
});
