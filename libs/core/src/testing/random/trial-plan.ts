import type { EngineSettings, OperatorRequest } from '../../engine/index.js';
import { bystander, describeSaga, planSaga, type SagaPlan } from './saga-plan.js';
import { pick, randomOf } from './seeded-random.js';

/** A request of an operator, needed or not. */
export interface OperatorAct {
  readonly request: OperatorRequest;
  /** The saga's number in the trial. */
  readonly saga: number;
  readonly atMs: number;
}

/** The whole of a trial, except the random events while it runs, which come from the seed alone. */
export interface TrialPlan {
  readonly seed: number;
  /** The sagas; the last one has no faults. */
  readonly sagas: readonly SagaPlan[];
  readonly startsAtMs: readonly number[];
  readonly acts: readonly OperatorAct[];
  readonly settings: Partial<EngineSettings>;
}

/** The trial of a seed: the same one each time. */
export function planTrial(seed: number): TrialPlan {
  const random = randomOf(seed);
  const count = pick(random, 1, 1, 2, 3);
  const sagas = Array.from({ length: count }, () => planSaga(random));
  const acts: OperatorAct[] = [];
  const often = random();
  for (let saga = 0; saga < count; saga += 1) {
    const least = often < 0.4 ? 0 : often < 0.8 ? 2 : 5;
    for (let asked = 0; asked < least; asked += 1) {
      // A terminated saga cannot be observed any further.
      const request = pick<OperatorRequest>(
        random,
        ...(['retry', 'retry', 'retry', 'cancel', 'cancel'] as const),
        ...(random() < 0.3 ? (['terminate'] as const) : []),
      );
      acts.push({ request, saga, atMs: Math.floor(random() ** 3 * 120_000) });
    }
  }
  sagas.push(bystander());
  return {
    seed,
    sagas,
    startsAtMs: sagas.map((_, at) => (at === 0 ? 0 : Math.floor(random() ** 2 * 15_000))),
    acts,
    settings: {
      settleBoundMs: 2_000,
      shutdownMs: 3_000,
      pollMs: 2_000,
      maxInFlight: pick(random, 1, 2, 4),
      maxTransactions: pick(random, 1, 2),
      maxSagas: pick(random, 1, 2, 50),
    },
  };
}

/** A plan as a person reads it. */
export function describeTrial({ sagas, startsAtMs, acts, settings }: TrialPlan): string {
  const lines = sagas.map(
    (saga, at) => `saga ${at}, from ${startsAtMs[at] ?? 0} ms: ${describeSaga(saga)}`,
  );
  const asked = acts.map(({ request, saga, atMs }) => `${request} saga ${saga} at ${atMs} ms`);
  return [...lines, ...asked, JSON.stringify(settings)].join('\n');
}
