import { describe, expect, it } from 'vitest';
import { EngineBench, Program } from '../../testing/index.js';
import { RepeatedFailure } from '../../retry/index.js';
import { TransitionFlusher } from '../flush/index.js';
import { DEFAULT_ENGINE_SETTINGS } from '../engine-options.js';
import { RunningSagas } from '../running-sagas.js';
import { FactStream } from '../facts/index.js';
import { emptyState } from '../state/index.js';
import { storeTransactions } from '../step-transactions.js';
import { noFaults } from '../../ports/index.js';
import { Attempt } from './attempt.js';
import { Attempts } from './attempts.js';
import { SagaRun } from './saga-run.js';

const WEEK_MS = 7 * 24 * 3_600_000;
const logger = {
  debug: () => undefined,
  info: () => undefined,
  warn: () => undefined,
  error: () => undefined,
};

/** Makes attempts of one step whose promise never settles, in an engine that has no other timers. */
function hungStep(): {
  bench: EngineBench;
  sagas: RunningSagas;
  begin: (item?: string) => Attempt;
} {
  const program = new Program({
    steps: { hangs: { timeoutMs: WEEK_MS, run: () => new Promise(() => undefined) } },
  });
  const bench = new EngineBench([program]);
  const { clock } = bench;
  const facts = new FactStream({ logger, clock });
  const sagas = new RunningSagas({
    service: 'bench',
    hearsReplies: true,
    settings: DEFAULT_ENGINE_SETTINGS,
    clock,
    logger,
    faults: noFaults,
    random: () => 0,
    sagas: bench.sagas,
    transactions: storeTransactions(bench.transactions),
    flusher: new TransitionFlusher({
      store: bench.sagas,
      clock,
      failure: new RepeatedFailure({
        clock,
        logger,
        what: 'Writing transitions',
        firstMs: 1,
        onFailure: () => undefined,
      }),
      flushers: 1,
      share: 1,
      group: 1,
      facts,
    }),
    resolve: () => program.instance(),
    runInContext: (_fields, work) => work(),
    facts,
    reading: new RepeatedFailure({ clock, logger, what: 'Reading outputs', firstMs: 1 }),
    definitionOf: () => program.definition,
    incarnation: () => 'engine',
    lives: () => true,
    storeNow: () => clock.now(),
    backAt: () => 0,
    onEnded: () => undefined,
    onGap: () => undefined,
  });
  const begin = (item: string | null = null): Attempt => {
    const run = new SagaRun(sagas, {
      id: 'saga',
      tenant: '',
      definition: program.definition,
      state: emptyState(),
      revision: 1,
      format: 1,
      epoch: 1,
      deadlineAt: null,
      bytes: 0,
    });
    run.close('given_back');
    const start = {
      role: 'step',
      step: 'hangs',
      item,
      attempt: 1,
      suspicion: 'none',
      dueSince: 0,
    } as const;
    const attempt = new Attempt(sagas, run, start, 1, false, WEEK_MS);
    void attempt.runPlain();
    return attempt;
  };
  return { bench, sagas, begin };
}

describe('An attempt whose promise never settles', () => {
  it('leaves no timer behind once it is abandoned, so that its ended saga leaves the memory', async () => {
    const { bench, sagas, begin } = hungStep();
    for (let n = 0; n < 100; n += 1) begin().abort('given_up');
    expect(sagas.timers.size).toBe(200);
    await bench.clock.advance(DEFAULT_ENGINE_SETTINGS.settleBoundMs);
    expect(sagas.timers.size).toBe(0);
  });

  it('leaves none when its process gives it back either', async () => {
    const { sagas, begin } = hungStep();
    const attempt = begin();
    attempt.abort('given_up');
    attempt.release();
    expect(sagas.timers.size).toBe(0);
  });
});

describe('Attempts of two items of one step', () => {
  it('are waited for and aborted each for itself', () => {
    const { begin } = hungStep();
    const [one, two] = [begin('line-1'), begin('line-2')];
    const attempts = new Attempts();
    attempts.add(one);
    attempts.add(two);
    attempts.abort(one.start, 'given_up');
    expect([one.aborted, two.aborted]).toEqual(['given_up', null]);
    attempts.delete(one);
    expect(attempts.unsettled(one.start)).toBe(false);
    expect(attempts.unsettled({ ...one.start, item: null })).toBe(false);
    expect(attempts.unsettled(two.start)).toBe(true);
    two.abort('given_up');
    two.release();
    expect(attempts.unsettled(two.start)).toBe(false);
    attempts.delete(two);
    expect(attempts.empty).toBe(true);
  });
});
