import { answer } from '../child.js';
import { withCost, type Cost } from '../cost.js';
import { drive } from '../measure.js';
import { ThreeSteps, threeStepsEngine } from '../sagas/three-steps.js';
import { quantile } from '../statistics.js';
import { openStore } from '../store.js';

export interface SagaRun {
  readonly url: string;
  readonly inFlight: number;
  readonly count: number;
}
export interface SagaCost {
  readonly perSecond: number;
  readonly p50: number;
  /** The processor time that each saga took. */
  readonly cost: Cost;
}

await answer(async ({ url, inFlight, count }: SagaRun): Promise<SagaCost> => {
  const store = await openStore(url);
  const engine = await threeStepsEngine(store);
  const durations: number[] = [];
  const one = async (index: number): Promise<void> => {
    const began = performance.now();
    const handle = await engine.start(ThreeSteps, index);
    await handle.result({ timeout: '60s' });
    durations.push(performance.now() - began);
  };
  await drive(Math.min(count, 2 * inFlight + 200), inFlight, one); // Warm: plans, caches, compiler.
  durations.length = 0;
  const { value: ms, cost } = await withCost(url, count, () => drive(count, inFlight, one));
  await engine.close();
  await store.close();
  return { perSecond: (count / ms) * 1000, p50: quantile(durations, 0.5), cost };
});
